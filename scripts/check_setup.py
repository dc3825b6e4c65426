"""The doctor: says what a first release needs and does not find. Changes nothing."""

import argparse
import os
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report, Table
from model_release.workspace import Workspace


def check(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Ask everything once; say what is missing and what to do about it."""
    from model_release.operations.check_setup import Setting, check_setup

    target = cli.target(arguments, workspace)
    setting = Setting(
        workspace, arguments.model_name, target, arguments.base_image, dict(os.environ)
    )
    found = list(check_setup(setting))
    failed = [each for each in found if each.outcome == "failed"]
    rows = [(each.name, each.outcome, each.found, each.next_step) for each in found]
    return Report(
        title=f"what a release of {arguments.model_name} needs",
        outcome="refused" if failed else "passed",
        tables=[Table("Findings", ("what", "outcome", "found", "next"), rows)],
        data={"findings": [vars(each) for each in found]},
        exit_code=1 if failed else 0,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when nothing is missing."""
    options = cli.parser(
        "Check everything that a first release needs: registry, limits, Docker, cluster, GitHub.",
        commands.script("check_setup", model_name="iris-classifier", target="kubernetes"),
    )
    cli.add_target(options)
    cli.add_env(options, "--base-image", "BASE_IMAGE", "the base image to look up")
    return cli.run(options, argv, check)


if __name__ == "__main__":
    raise SystemExit(main())
