"""Champion and challenger on the same rows, with the decision that the champion gate would make."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def compare(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Compare; with --promote promote the challenger if the gate would pass it."""
    from dataclasses import replace

    from model_release.operations.compare_champion import compare_champion
    from model_release.stations.promote_model import promote_model

    report = compare_champion(workspace, arguments.model_name, arguments.model_version)
    if not arguments.promote or report.exit_code:
        return report
    target = cli.target(arguments, workspace)
    release = promote_model(cli.release(arguments, workspace), target)
    undo = commands.rollback(release.model, target=target.name)
    return replace(
        report,
        lines=[*report.lines, f"version {release.version} is champion; undo:", f"  {undo}"],
        data={**report.data, "promoted": release.id, "rollback": undo},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the challenger is not worse, 1 when the gate would refuse it."""
    options = cli.parser(
        "Score champion and challenger on the same rows; write nothing unless --promote is given.",
        commands.script("compare_champion", model_name="iris-classifier", model_version="2"),
    )
    options.add_argument(
        "--promote",
        action="store_true",
        help="promote the version if it passes and production serves it",
    )
    cli.add_release(options)
    cli.add_target(options)
    return cli.run(options, argv, compare)


if __name__ == "__main__":
    raise SystemExit(main())
