"""What serves what: every environment of a target beside the champion in the registry."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def status(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Say what serves, or end it with --stop."""
    from model_release.operations.release_status import release_status, stop

    target = cli.target(arguments, workspace)
    if arguments.stop:
        return stop(target, arguments.environment)
    return release_status(workspace, target, arguments.environment)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when it could be found out, whatever serves."""
    options = cli.parser(
        "Say what serves what, and whether it is the champion.",
        commands.script("release_status", format="markdown"),
        model=False,
    )
    options.add_argument(
        "--environment", choices=("staging", "production"), help="this one; both if not given"
    )
    options.add_argument("--stop", action="store_true", help="end what serves there")
    cli.add_target(options)
    return cli.run(options, argv, status)


if __name__ == "__main__":
    raise SystemExit(main())
