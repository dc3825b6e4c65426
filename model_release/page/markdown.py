"""A page as GitHub's Markdown: a Mermaid road, bars of block characters, escaped tables (pure)."""

import re
from collections.abc import Iterator, Sequence

from model_release.errors import plain
from model_release.page import Bar, Interval, Link, Page, Section, Step
from model_release.report import MARKS, cell

WIDTH = 24
"""Characters of a bar."""

CODE_LINES = 400


def markdown(page: Page) -> str:
    """The page; ends with a newline."""
    parts = [f"# {cell(page.title)}", "", f"**{cell(page.lead)}**", ""]
    for section in page.sections:
        parts += _section(section)
    return "\n".join(parts)


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {cell(section.title)}", "")
    for line in section.lines:
        yield from (cell(line), "")
    if section.steps:
        yield from _road(section.steps)
    if section.table:
        yield from _table(section.table.columns, section.table.rows)
    if section.intervals:
        yield from _fenced("text", "\n".join(_intervals(section.intervals)))
    if section.bars:
        yield from _fenced("text", "\n".join(_bars(section.bars)))
    if section.code:
        yield from _code(section)
    for link in section.links:
        yield f"- {_link(link)}"
    if section.links:
        yield ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(cell(column) for column in columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        cells = [f"{MARKS[text]} {text}" if text in MARKS else cell(text) for text in row]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _road(steps: Sequence[Step]) -> Iterator[str]:
    nodes = [f'  s{n}["{MARKS.get(step.outcome, "")} {step.name}"]' for n, step in enumerate(steps)]
    path = "  " + " --> ".join(f"s{n}" for n in range(len(steps)))
    yield from ("```mermaid", "flowchart LR", *nodes, path, "```", "")


def _bars(bars: Sequence[Bar]) -> Iterator[str]:
    width = max(len(bar.label) for bar in bars)
    most = max(bar.limit or bar.value for bar in bars) or 1.0
    for bar in bars:
        share = min(1.0, bar.value / (bar.limit or most))
        full = round(share * WIDTH)
        drawn = "█" * full + "░" * (WIDTH - full)
        limit = f" of {bar.limit:g} {bar.unit}" if bar.limit else ""
        yield f"{plain(bar.label):<{width}} {drawn} {bar.value:.4g} {bar.unit}{limit}"


def _intervals(intervals: Sequence[Interval]) -> Iterator[str]:
    """One line each: ├──●──┤ the interval, │ the zero, ▏ what is allowed at most."""
    width = max(len(each.label) for each in intervals)
    for each in intervals:
        ends = (0.0, each.low, each.high, each.allowed)
        start, length = min(ends), (max(ends) - min(ends)) or 1.0
        line = [" "] * (2 * WIDTH + 1)

        def place(value: float, start: float = start, length: float = length) -> int:
            return round((value - start) / length * 2 * WIDTH)

        line[place(0.0)] = "│"
        line[place(each.allowed)] = "▌"
        low, high = place(each.low), place(each.high)
        line[low : high + 1] = "─" * (high - low + 1)
        line[low], line[high], line[place(each.point)] = "├", "┤", "●"
        yield f"{plain(each.label):<{width}} {''.join(line)}"
    yield f"{'':<{width}} │ no difference   ├─●─┤ worse by   ▌ allowed at most"


def _code(section: Section) -> Iterator[str]:
    lines = section.code.splitlines()
    if len(lines) > CODE_LINES:
        lines = [*lines[:CODE_LINES], "…"]
    long = len(lines) > 12
    if long:
        yield from (f"<details><summary>{len(lines)} lines</summary>", "")
    yield from _fenced(section.language, "\n".join(lines))
    if long:
        yield from ("</details>", "")


def _fenced(language: str, text: str) -> Iterator[str]:
    """A code block whose fence no line of the text can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = [printable(line) for line in text.splitlines()]
    yield from (f"{fence}{language}", *lines, fence, "")


def printable(line: str) -> str:
    """A line without control characters; its indentation stays."""
    return "".join(c if c.isprintable() else " " for c in line).rstrip()


def _link(link: Link) -> str:
    if not re.fullmatch(r"https?://[^\s<>()\"'\\]+", link.url):
        return cell(link.text)
    return f"[{cell(link.text)}]({link.url})"
