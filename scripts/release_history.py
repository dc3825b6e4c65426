"""The ledger as a table: who was champion from when to when, and why; or at one moment."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def show(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Tell the ledger."""
    from model_release.operations.release_history import release_history

    return release_history(workspace, arguments.model_name, arguments.alias, arguments.at)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the ledger could be read."""
    from model_release.releases.history import CHAMPION

    options = cli.parser(
        "Say who was champion from when to when, who approved it, and why it went.",
        commands.script(
            "release_history", model_name="iris-classifier", at="2026-11-24T21:00:00+00:00"
        ),
        version=None,
    )
    options.add_argument("--alias", default=CHAMPION, help="another alias than champion")
    options.add_argument("--at", default="", metavar="TIME", help="ISO 8601 with a time zone")
    return cli.run(options, argv, show)


if __name__ == "__main__":
    raise SystemExit(main())
