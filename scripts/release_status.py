"""What serves in each environment of a target, beside the champion in the registry."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def status(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Report what serves; with --stop stop it."""
    from model_release.operations.release_status import release_status, stop

    target = cli.target(arguments, workspace)
    if arguments.stop:
        return stop(target, arguments.environment)
    return release_status(workspace, target, arguments.environment)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the target and the registry answered, whatever serves."""
    options = cli.parser(
        "Show which version serves in each environment, and whether it is the champion.",
        commands.script("release_status", format="markdown"),
        model=False,
    )
    options.add_argument(
        "--environment",
        choices=("staging", "production"),
        help="the environment to look at; both if not given",
    )
    options.add_argument("--stop", action="store_true", help="stop every server there")
    cli.add_target(options)
    return cli.run(options, argv, status)


if __name__ == "__main__":
    raise SystemExit(main())
