"""Keep the one issue of the audit: open it, bring it up to date, close it."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from model_release import cli
from model_release.errors import OutsideError
from model_release.report import Report
from model_release.workspace import Workspace


def report(arguments: argparse.Namespace, _: Workspace) -> Report:
    """Do what the audit's report means for the issue."""
    from model_release.github import GitHub, audit_issue

    try:
        found = json.loads(arguments.audit.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutsideError(
            f"{arguments.audit}",
            expected="what audit_release.py --format json wrote",
            found=str(error),
            next_step="see the step before this one; the issue stays as it is",
        ) from error
    github = GitHub.from_environment(os.environ)
    step = audit_issue.decide(found, github.open_issues(audit_issue.LABEL))
    number = step.number
    if step.do == "open":
        number = github.create_issue(step.title, step.body, audit_issue.LABEL)
    if step.do == "update":
        github.change_issue(number, title=step.title, body=step.body)
    if step.comment:
        github.comment(number, step.comment)
    if step.do == "close":
        github.change_issue(number, state="closed")
    said = f"issue {number}: {step.do}" if number else "no issue is open, none is needed"
    return Report(
        "issue of the audit", "passed", lines=[said], data={"do": step.do, "issue": number}
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the issue says what the audit found."""
    options = cli.parser(
        "Open, update or close the issue of the audit.",
        "python scripts/report_audit.py audit.json",
        model=False,
    )
    options.add_argument("audit", type=Path, help="report of audit_release.py --format json")
    return cli.run(options, argv, report)


if __name__ == "__main__":
    raise SystemExit(main())
