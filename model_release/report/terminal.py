"""A document on a terminal or in a log."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from model_release.errors import plain
from model_release.report import Document, Part, Table, printable
from model_release.report.plots import bar_lines, interval_lines
from model_release.report.signs import sign_of

if TYPE_CHECKING:
    import rich.table


def terminal(document: Document, width: int, colour: bool) -> str:
    """The document; ends with a newline. Only tables are folded to `width`."""
    from rich.console import Console  # slow to import, and only tables need it
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="auto" if colour else None,
    )
    outcome = f": {document.outcome}" if document.outcome else ""
    console.print(Text(plain(f"{document.title}{outcome}"), style="bold"))
    if document.lead:
        console.print(Text(plain(document.lead)))
    for part in document.parts:
        console.print()
        if part.table:
            console.print(_grid(part.heading, part.table))
        elif part.heading:
            console.print(Text(plain(part.heading), style="table.title"))
        # The rest is for copying, so it does not go through the console, which folds.
        out.write("".join(f"{printable(line)}\n" for line in _lines(part)))
    return out.getvalue()


def _grid(title: str, table: Table) -> "rich.table.Table":
    import rich.table
    from rich.text import Text

    grid = rich.table.Table(
        title=Text(plain(title)), title_justify="left", show_edge=False, pad_edge=False
    )
    for column in table.columns:
        grid.add_column(Text(plain(column)), overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(plain(cell)) for cell in row))
    return grid


def _lines(part: Part) -> Iterator[str]:
    yield from part.lines
    for station in part.road:
        yield f"{sign_of(station.outcome).text} {station.name}"
    yield from interval_lines(part.intervals)
    yield from bar_lines(part.bars)
    yield from part.code.splitlines()
    yield from (f"{link.text} {link.url}" for link in part.links)
