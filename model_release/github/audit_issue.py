"""The one issue of the hourly audit: opened, brought up to date and closed by itself (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from model_release.errors import OutsideError, plain
from model_release.report import Document, Part, Table, printable
from model_release.report.markdown import markdown

LABEL = "release-audit"
COLUMNS = ("model", "difference", "expected", "found", "likely cause")


@dataclass(frozen=True)
class Step:
    """What to do with the issue: its number where there is one, the text to have or to say."""

    do: Literal["open", "update", "close", "nothing"]
    number: int = 0
    title: str = ""
    body: str = ""
    comment: str = ""


def next_step(report: Mapping[str, Any], issues: Sequence[Mapping[str, Any]]) -> Step:
    """What the audit's report means for the open issues with its label; the oldest is the one.

    Raises:
        OutsideError: the report is of an audit that could not be made: nothing is known.
    """
    if "differences" not in report:
        raise OutsideError(
            "audit",
            expected="a report with differences, or with none",
            found=plain(str(report.get("error") or sorted(report)))[:300],
            next_step="read the log of the step before this one; the issue was not changed",
        )
    found = report["differences"]
    issue = issues[0] if issues else None
    if not found:
        said = "Nothing differs any more."
        return Step("close", int(issue["number"]), comment=said) if issue else Step("nothing")
    models = sorted({str(each["model"]) for each in found})
    title = f"Production is not what the registry says: {plain(', '.join(models))}"[:200]
    body = _body(found)
    if issue is None:
        return Step("open", title=title, body=body)
    if issue.get("body") == body and issue.get("title") == title:
        return Step("nothing", int(issue["number"]))
    count = f"{len(found)} difference{'s'[: len(found) > 1]} now; the table above is up to date."
    return Step("update", int(issue["number"]), title, body, count)


def _body(found: Sequence[Mapping[str, Any]]) -> str:
    keys = ("model", "kind", "expected", "found", "cause")
    rows = [[str(each[key]) for key in keys] for each in found]
    mends = dict.fromkeys(printable(str(each["mend"])) for each in found)
    parts = (
        Part(table=Table("", COLUMNS, rows)),
        Part(lines=["What mends it:"], code="\n".join(mends)),
        Part(lines=["The hourly audit keeps this issue up to date and closes it."]),
    )
    return markdown(Document("", parts)).rstrip()
