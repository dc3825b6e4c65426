"""The ledger as a table: which version was champion from when to when, and why; or at one time."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def show(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Report what the ledger says."""
    from model_release.operations.release_history import release_history

    return release_history(workspace, arguments.model_name, arguments.alias, arguments.at)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the ledger could be read."""
    from model_release.releases.history import CHAMPION

    options = cli.parser(
        "Show which version was champion when, who approved it, and why it was replaced.",
        commands.script(
            "release_history", model_name="iris-classifier", at="2026-11-24T21:00:00+00:00"
        ),
        version=None,
    )
    options.add_argument("--alias", default=CHAMPION, help="the alias to show (champion)")
    options.add_argument(
        "--at",
        default="",
        metavar="TIME",
        help="show which version it was then: a time in ISO 8601 with its time zone",
    )
    return cli.run(options, argv, show)


if __name__ == "__main__":
    raise SystemExit(main())
