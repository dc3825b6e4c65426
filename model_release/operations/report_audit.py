"""The audit's one issue on GitHub, opened, updated or closed."""

import json
from pathlib import Path

from model_release import commands
from model_release.errors import OutsideError
from model_release.github import GitHub, audit_issue
from model_release.report import Report


def report_audit(audit: Path, github: GitHub) -> Report:
    """Open, update or close the issue, as the audit's report wants it.

    Args:
        audit: what `audit_release.py --format json` wrote.
        github: the repository that keeps the issue.

    Raises:
        OutsideError: `audit` is no such report, or GitHub did not answer.
    """
    try:
        found = json.loads(audit.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutsideError(
            str(audit),
            expected=f"the report of {commands.script('audit_release', format='json')}",
            found=str(error),
            next_step="see why the audit before this step wrote no report; the issue is unchanged",
        ) from error
    step = audit_issue.next_step(found, github.open_issues(audit_issue.LABEL))
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
