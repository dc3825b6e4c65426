"""Station validate: every gate is asked about a model version; its release begins."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.github.outputs import tell_workflow
from model_release.report import Report
from model_release.workspace import Workspace


def validate(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Judge the version; the report says for each gate what was required and found."""
    from model_release.stations.run_release import validation_report
    from model_release.stations.validate_model import validate_model

    release = validate_model(workspace, arguments.model_name, arguments.model_version)
    tell_workflow(release=release.id)
    return validation_report(release)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when no gate refuses the version."""
    options = cli.parser(
        "Ask every gate of models/<name>.yaml about a model version.",
        commands.script("validate_model", model_name="iris-classifier", model_version="1"),
    )
    return cli.run(options, argv, validate)


if __name__ == "__main__":
    raise SystemExit(main())
