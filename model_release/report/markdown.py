"""A document as GitHub's Markdown: Mermaid for the road, block characters for plots."""

import re
from collections.abc import Iterator, Sequence

from model_release.errors import plain
from model_release.report import Document, Link, Part, StationOutcome, Table, printable
from model_release.report.plots import bar_lines, interval_lines
from model_release.report.signs import SIGNS

ADDRESS = re.compile(r"\b(www)\.", re.IGNORECASE)
"""What is taken for a web address without its scheme."""

REFERENCE = re.compile(r"(?<!&)#(?=\d)|\bGH-(?=\d)", re.IGNORECASE)
"""The beginning of what GitHub takes for an issue or a pull request."""

FOLDED_LINES = 12
"""More code than this is folded, where it may be."""


def markdown(document: Document, level: int = 1) -> str:
    """The document, its title a heading of `level`; ends with a newline."""
    title, outcome = cell(document.title), document.outcome
    if outcome:
        title = f"{_sign(outcome)} {title}: {cell(outcome)}"
    lines = [f"{'#' * level} {title}", ""] if title else []
    if document.lead:
        lines += [f"**{cell(document.lead)}**", ""]
    for part in document.parts:
        lines += _part(part, level + 1)
    return "\n".join(lines)


def cell(text: str) -> str:
    """Text that cannot leave its table cell or become a link, an image, HTML or a mention.

    A character that nobody sees stands in mentions and in references to issues, which GitHub looks
    for in what is shown; an address is one by its characters, so that it can be copied.
    """
    escaped = plain(text).replace("&", "&amp;").replace("\\", "\\\\").replace("|", "\\|")
    escaped = escaped.replace("<", "&lt;").replace("://", "&#58;//")
    for character in "[]`*_":
        escaped = escaped.replace(character, f"\\{character}")
    escaped = ADDRESS.sub(r"\1&#46;", escaped.replace("@", "@\u200b"))
    return REFERENCE.sub("\\g<0>\u200b", escaped)


def _part(part: Part, level: int) -> Iterator[str]:
    if part.heading:
        yield from (f"{'#' * level} {cell(part.heading)}", "")
    for line in part.lines:
        yield from (cell(line), "")
    if part.road:
        yield from _fenced("mermaid", _road(part.road))
    if part.table:
        yield from _table(part.table)
    if part.intervals:
        yield from _fenced("text", interval_lines(part.intervals))
    if part.bars:
        yield from _fenced("text", bar_lines(part.bars))
    if part.code:
        yield from _code(part)
    if part.links:
        yield from (*(f"- {_link(link)}" for link in part.links), "")


def _sign(outcome: str) -> str:
    return SIGNS[outcome].emoji if outcome in SIGNS else ""


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(cell(column) for column in table.columns)} |"
    yield f"|{' --- |' * len(table.columns)}"
    for row in table.rows:
        cells = [f"{_sign(text)} {text}" if text in SIGNS else cell(text) for text in row]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _road(stations: Sequence[StationOutcome]) -> Iterator[str]:
    yield "flowchart LR"
    for place, station in enumerate(stations):
        yield f'  s{place}["{_sign(station.outcome)} {station.name}"]'
    yield "  " + " --> ".join(f"s{place}" for place in range(len(stations)))


def _code(part: Part) -> Iterator[str]:
    lines = part.code.splitlines()
    if not part.folded or len(lines) <= FOLDED_LINES:
        yield from _fenced(part.language, lines)
        return
    yield from (f"<details><summary>{len(lines)} lines</summary>", "")
    yield from (*_fenced(part.language, lines), "</details>", "")


def _fenced(language: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    """A code block that no line of it can close."""
    yield f"```{language}"
    yield from (printable(line).replace("```", "'''") for line in lines)
    yield from ("```", "")


def _link(link: Link) -> str:
    if not link.address:
        return cell(link.text)
    # A parenthesis would end the link.
    return f"[{cell(link.text)}]({link.address.replace('(', '%28').replace(')', '%29')})"
