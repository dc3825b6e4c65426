"""The document of a command or a page, one for terminal, Markdown and HTML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_release.errors import RefusedError
from model_release.report.signs import number


@dataclass(frozen=True)
class Table:
    """Rows under a title; every cell is text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Bar:
    """One measured value of at least 0 and, where there is one, its limit, in the same unit."""

    label: str
    value: float
    limit: float | None = None
    unit: str = ""

    @property
    def over(self) -> bool:
        """Whether the value is above its limit."""
        return bool(self.limit and self.value > self.limit)

    @property
    def figures(self) -> str:
        """Value and limit in words, such as `25 ms of 100 ms`."""
        limit = f" of {number(self.limit, 6)} {self.unit}" if self.limit else ""
        return f"{number(self.value)} {self.unit}{limit}"


@dataclass(frozen=True)
class Interval:
    """How much worse the challenger is (negative: better): its interval, and what is allowed."""

    label: str
    low: float
    point: float
    high: float
    allowed: float

    def at(self, value: float) -> float:
        """Where a value lies on a line that just holds this and zero, from 0 to 1."""
        ends = (0.0, self.low, self.high, self.allowed)
        return (value - min(ends)) / ((max(ends) - min(ends)) or 1.0)

    @property
    def span(self) -> str:
        """Both ends in words."""
        return f"{number(self.low, sign='+')} … {number(self.high, sign='+')}"

    @property
    def figures(self) -> str:
        """The point and both ends in words."""
        return f"{number(self.point, sign='+')} ({self.span})"


@dataclass(frozen=True)
class StationOutcome:
    """A station of the road and how it went: passed, refused, waiting or not reached."""

    name: str
    outcome: str


@dataclass(frozen=True)
class Link:
    """Where something is to be read."""

    text: str
    url: str

    @property
    def address(self) -> str:
        """The URL, if it is one of http or https that cannot end an attribute; else empty."""
        return self.url if re.fullmatch(r"https?://[^\s<>\"'\\]+", self.url) else ""


@dataclass(frozen=True)
class Part:
    """One part of a document; what is empty is not shown.

    `code` is text for copying, `language` how it is highlighted; `folded` lets Markdown hide a
    long one until it is opened.
    """

    title: str = ""
    lines: Sequence[str] = ()
    road: Sequence[StationOutcome] = ()
    table: Table | None = None
    intervals: Sequence[Interval] = ()
    bars: Sequence[Bar] = ()
    code: str = ""
    language: str = ""
    folded: bool = False
    links: Sequence[Link] = ()

    @property
    def heading(self) -> str:
        """Its title, by default that of its table."""
        return self.title or (self.table.title if self.table else "")


@dataclass(frozen=True)
class Document:
    """A title with its outcome, where it has one, a sentence that leads in, and the parts."""

    title: str
    parts: Sequence[Part]
    outcome: str = ""
    lead: str = ""


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

    @property
    def document(self) -> Document:
        """What people see of it; its lines are for copying."""
        tables = [Part(table=table) for table in self.tables]
        lines = Part(code="\n".join(printable(line) for line in self.lines))
        return Document(self.title, [*tables, lines] if self.lines else tables, self.outcome)


def shares(bars: Sequence[Bar]) -> list[tuple[Bar, float]]:
    """Each bar and how long it is drawn, of 1: its share of its limit, or of the largest value."""
    most = max(bar.limit or bar.value for bar in bars) or 1.0
    return [(bar, min(1.0, bar.value / (bar.limit or most))) for bar in bars]


def printable(line: str) -> str:
    """A line without control characters; its indentation stays: a diff is nothing without it."""
    return "".join(c if c.isprintable() else " " for c in line).rstrip()
