"""A report as table, JSON or Markdown."""

import json

from model_release.report import Report
from model_release.report.markdown import markdown
from model_release.report.terminal import terminal

FORMATS = ("table", "json", "markdown")


def render(report: Report, style: str, width: int = 100, colour: bool = False) -> str:
    """Render a report in one of FORMATS; the text ends with a newline."""
    if style == "json":
        return json.dumps({"outcome": report.outcome, **report.data}, indent=2) + "\n"
    if style == "markdown":
        return markdown(report.document, level=2)
    return terminal(report.document, width, colour)
