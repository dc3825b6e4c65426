"""The page of a release: what an approver reads before pressing the button, and an auditor after.

`content` decides what stands there, as sections of plain values; `markdown` and `html` write the
same sections for GitHub's job summary and as a file of the release's run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from model_release.report import Table


@dataclass(frozen=True)
class Bar:
    """One measured value of at least 0 and, where there is one, its limit, in the same unit."""

    label: str
    value: float
    limit: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Interval:
    """How much worse the challenger is (negative: better): its interval, and what is allowed."""

    label: str
    low: float
    point: float
    high: float
    allowed: float


@dataclass(frozen=True)
class Step:
    """A station of the road and how it went: passed, refused, waiting or not reached."""

    name: str
    outcome: str


@dataclass(frozen=True)
class Link:
    """Where something is to be read; only http and https addresses become links."""

    text: str
    url: str


@dataclass(frozen=True)
class Section:
    """One part of the page; what is empty is not shown.

    `code` is text for copying, `language` how it is highlighted.
    """

    title: str
    lines: Sequence[str] = ()
    steps: Sequence[Step] = ()
    table: Table | None = None
    intervals: Sequence[Interval] = ()
    bars: Sequence[Bar] = ()
    code: str = ""
    language: str = ""
    links: Sequence[Link] = ()


@dataclass(frozen=True)
class Page:
    """The whole page; `lead` says in one sentence what is asked of the reader."""

    title: str
    lead: str
    sections: Sequence[Section]
