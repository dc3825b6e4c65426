"""What serves what: every environment of a target beside the champion in the registry."""

import argparse
from collections.abc import Sequence

from model_release import cli
from model_release.report import Report
from model_release.workspace import Workspace


def status(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Say what serves, or end it with --stop."""
    from model_release.status import status as look
    from model_release.status import stop

    target = cli.target(arguments, workspace)
    return stop(target) if arguments.stop else look(workspace, target)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when it could be found out, 1 when production is not what the champion says."""
    options = cli.parser(
        "Say what serves what, and whether it is the champion.",
        "python scripts/release_status.py --format markdown",
        model=False,
    )
    options.add_argument("--stop", action="store_true", help="end every server of the local target")
    cli.add_target(options)
    return cli.run(options, argv, status)


if __name__ == "__main__":
    raise SystemExit(main())
