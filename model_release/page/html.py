"""A page as one HTML file: no script, nothing from elsewhere, plots as inline SVG (pure)."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from model_release.errors import plain
from model_release.page import Bar, Interval, Link, Page, Section, Step
from model_release.page.markdown import printable
from model_release.report import Table

STYLE = Path(__file__).with_name("style.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
MARKS = {
    "passed": "✓", "failed": "✗", "refused": "✗", "error": "✗", "skipped": "→", "waiting": "…",
    "not reached": "·",
}  # fmt: skip
"""Signs that every font has; a colour font is not everywhere."""

LABELS, PLOT, VALUES = 190, 420, 190
"""Columns of a plot, in its own units."""

ROW = 30


def html(page: Page) -> str:
    """The page as a document that shows the same for ever, wherever it is opened."""
    body = "\n".join(part for section in page.sections for part in _section(section))
    style = STYLE.read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Release {text(page.title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{text(page.title)}</h1>
<p class="lead">{text(page.lead)}</p>
{body}
</main>
</body>
</html>
"""


def text(value: str) -> str:
    """Text that cannot become markup."""
    return escape(plain(value), quote=True)


def _section(section: Section) -> Iterator[str]:
    name = re.sub(r"[^a-z]+", "-", section.title.lower())
    yield f'<section id="{name}"><h2>{text(section.title)}</h2>'
    yield from (f"<p>{text(line)}</p>" for line in section.lines)
    if section.steps:
        yield f'<ol class="road">{"".join(_step(step) for step in section.steps)}</ol>'
    if section.table:
        yield _table(section.table)
    if section.intervals:
        yield _intervals(section.intervals)
    if section.bars:
        yield _bars(section.bars)
    if section.code:
        lines = "\n".join(_line(line, section.language) for line in section.code.splitlines())
        yield f"<pre>{lines}</pre>"
    if section.links:
        yield f"<ul>{''.join(f'<li>{_link(link)}</li>' for link in section.links)}</ul>"
    yield "</section>"


def _step(step: Step) -> str:
    kind = step.outcome.replace(" ", "-")
    return (
        f'<li class="{text(kind)}"><span>{MARKS.get(step.outcome, "")}</span> {text(step.name)}'
        f"<small>{text(step.outcome)}</small></li>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{text(column)}</th>" for column in table.columns)
    rows = "\n".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"


def _cell(value: str) -> str:
    if value in MARKS:
        return f'<td class="{value.replace(" ", "-")}">{MARKS[value]} {value}</td>'
    return f"<td>{text(value)}</td>"


def _line(line: str, language: str) -> str:
    kind = (
        {"+": "added", "-": "removed", "@": "place"}.get(line[:1]) if language == "diff" else None
    )
    shown = escape(printable(line), quote=True)
    return f'<span class="{kind}">{shown}</span>' if kind else shown


def _link(link: Link) -> str:
    if not re.fullmatch(r"https?://[^\s<>\"'\\]+", link.url):
        return text(link.text)
    return f'<a href="{escape(link.url, quote=True)}" rel="noreferrer">{text(link.text)}</a>'


def _plot(rows: Sequence[str], legend: str) -> str:
    height = ROW * len(rows) + 4
    drawn = "\n".join(
        f'<g transform="translate(0 {ROW * number})">{row}</g>' for number, row in enumerate(rows)
    )
    return (
        f'<figure><svg viewBox="0 0 {LABELS + PLOT + VALUES} {height}" role="img" '
        f'aria-label="{text(legend)}">\n{drawn}\n</svg><figcaption>{text(legend)}</figcaption></figure>'
    )


def _bars(bars: Sequence[Bar]) -> str:
    most = max(bar.limit or bar.value for bar in bars) or 1.0
    rows = []
    for bar in bars:
        share = min(1.0, bar.value / (bar.limit or most))
        limit = f" of {bar.limit:g} {bar.unit}" if bar.limit else ""
        kind = "over" if bar.limit and bar.value > bar.limit else "bar"
        rows.append(
            f'<text x="0" y="20">{text(bar.label)}</text>'
            f'<rect class="track" x="{LABELS}" y="8" width="{PLOT}" height="14" rx="3"/>'
            f'<rect class="{kind}" x="{LABELS}" y="8" width="{max(2, share * PLOT):.1f}" '
            'height="14" rx="3"/>'
            f'<text x="{LABELS + PLOT + 12}" y="20">{bar.value:.4g} {text(bar.unit + limit)}</text>'
        )
    return _plot(rows, "measured, as a share of the limit")


def _intervals(intervals: Sequence[Interval]) -> str:
    rows = []
    for each in intervals:
        ends = (0.0, each.low, each.high, each.allowed)
        start, length = min(ends), (max(ends) - min(ends)) or 1.0

        def at(value: float, start: float = start, length: float = length) -> str:
            return f"{LABELS + 8 + (value - start) / length * (PLOT - 16):.1f}"

        rows.append(
            f'<text x="0" y="20">{text(each.label)}</text>'
            f'<line class="zero" x1="{at(0)}" x2="{at(0)}" y1="2" y2="28"/>'
            f'<path class="allowed" d="M{at(each.allowed)} 2v26"/>'
            f'<line class="interval" x1="{at(each.low)}" x2="{at(each.high)}" y1="15" y2="15"/>'
            f'<circle cx="{at(each.point)}" cy="15" r="5"/>'
            f'<text x="{LABELS + PLOT + 12}" y="20">{each.point:+.4g} ({each.low:+.4g} … '
            f"{each.high:+.4g})</text>"
        )
    return _plot(rows, "worse by: interval, grey line no difference, red line allowed at most")
