"""The audit's one issue on GitHub: opened, updated, closed."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def report(arguments: argparse.Namespace, _: Workspace) -> Report:
    """Do what the audit's report means for the issue."""
    from model_release.github import GitHub
    from model_release.operations.report_audit import report_audit

    return report_audit(arguments.audit, GitHub.from_environment(os.environ))


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the issue says what the audit found."""
    options = cli.parser(
        "Open, update or close the issue of the audit.",
        commands.script("report_audit", "audit.json"),
        model=False,
    )
    options.add_argument(
        "audit",
        type=Path,
        help=f"the file with the report of {commands.script('audit_release', format='json')}",
    )
    return cli.run(options, argv, report)


if __name__ == "__main__":
    raise SystemExit(main())
