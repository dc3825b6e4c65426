"""One result, rendered as table, JSON or Markdown."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_release.errors import RefusedError, plain

FORMATS = ("table", "json", "markdown")
MARKS = {
    "passed": "✅",
    "failed": "❌",
    "refused": "❌",
    "error": "💥",
    "skipped": "⏭️",
    "waiting": "⏸️",
    "not reached": "·",
}


@dataclass(frozen=True)
class Table:
    """Rows under a title; every cell is text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class DetailedError(RefusedError):
    """A refusal with tables that an operator would look for, such as events and last logs."""

    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Report:
    """What a command found: for people (`tables`, `lines`) and for machines (`data`, JSON values).

    `exit_code` is the command's: 0 passed, 1 a gate or check said no, 2 wrong usage, 3 outside
    fault.
    """

    title: str
    outcome: str
    tables: Sequence[Table] = ()
    lines: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = 0


def render(report: Report, style: str, width: int = 100, colour: bool = False) -> str:
    """Render a report in one of FORMATS; the text ends with a newline."""
    if style == "json":
        return json.dumps({"outcome": report.outcome, **report.data}, indent=2) + "\n"
    return _markdown(report) if style == "markdown" else _table(report, width, colour)


def _table(report: Report, width: int, colour: bool) -> str:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="auto" if colour else None,
    )
    console.print(Text(f"{report.title}: {report.outcome}", style="bold"))
    for table in report.tables:
        grid = RichTable(
            title=Text(table.title), title_justify="left", show_edge=False, pad_edge=False
        )
        for column in table.columns:
            grid.add_column(Text(column), overflow="fold")
        for row in table.rows:
            grid.add_row(*(Text(plain(cell)) for cell in row))
        console.print()
        console.print(grid)
    if report.lines:
        console.print()
    text = out.getvalue()
    # Lines are for copying: they are never folded.
    return text + "".join(f"{_indented(line)}\n" for line in report.lines)


def _indented(line: str) -> str:
    """A printable line that keeps its indentation: a diff is nothing without it."""
    return " " * (len(line) - len(line.lstrip(" "))) + plain(line)


def cell(text: str) -> str:
    """Text that cannot leave its table cell or become a link, an image, HTML or a mention."""
    escaped = plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    for character in "[]`*_@":
        escaped = escaped.replace(character, f"\\{character}" if character != "@" else "@\u200b")
    return escaped


def _markdown(report: Report) -> str:
    parts = [
        f"## {MARKS.get(report.outcome, '')} {cell(report.title)}: {cell(report.outcome)}",
        "",
    ]
    for table in report.tables:
        parts += [f"### {cell(table.title)}", ""]
        parts += [f"| {' | '.join(table.columns)} |", f"|{' --- |' * len(table.columns)}"]
        for row in table.rows:
            cells = [f"{MARKS[text]} {text}" if text in MARKS else cell(text) for text in row]
            parts.append(f"| {' | '.join(cells)} |")
        parts.append("")
    if report.lines:
        parts += [
            "```",
            *(_indented(line).replace("```", "'''") for line in report.lines),
            "```",
            "",
        ]
    return "\n".join(parts)
