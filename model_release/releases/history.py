"""The meaning of the ledger's entries: who was champion when, and where a rollback goes.

An entry is one move of an alias: decided, then closed as done or abandoned. Only the last one can
be open. A reign begins when the move to it was closed as done and ends when the next one was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

Kind = Literal["promotion", "rollback", "transition", "mend"]
Outcome = Literal["done", "abandoned"]

CHAMPION = "champion"
PREVIOUS = "previous-champion"
TICK = timedelta(milliseconds=1)
"""Least time between two entries: their times keep the order even where clocks differ."""


@dataclass(frozen=True)
class Close:
    """How an entry ended, and when (ISO 8601, UTC, milliseconds)."""

    outcome: Outcome
    at: str
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """One move of an alias of a model.

    Args:
        number: from 1, without gaps.
        id: random, tells two attempts at the same number apart.
        alias: what moves.
        kind: why it moves.
        before: the version it pointed to, "" for none.
        after: the version it moves to.
        release: id of that version's release, "" where it has none.
        at: when it was decided, ISO 8601, UTC, milliseconds; later than the entry before.
        by: who decided.
        reason: in words; a rollback always has one.
        close: how it ended, None while it is under way.
    """

    number: int
    id: str
    alias: str
    kind: Kind
    before: str
    after: str
    release: str
    at: str
    by: str
    reason: str = ""
    close: Close | None = None

    @property
    def done(self) -> bool:
        """Whether the alias was seen to point to `after`."""
        return self.close is not None and self.close.outcome == "done"


@dataclass(frozen=True)
class Reign:
    """From when to when a version had an alias. `ended_by` is None while it has."""

    began_by: Entry
    ended_by: Entry | None

    @property
    def version(self) -> str:
        """The version that had the alias."""
        return self.began_by.after

    @property
    def since(self) -> str:
        """When it was first seen to have it."""
        return closed_at(self.began_by)

    @property
    def until(self) -> str:
        """When its successor was first seen to have it, or ""."""
        return closed_at(self.ended_by) if self.ended_by else ""


@dataclass(frozen=True)
class Moment:
    """Who had an alias at one moment, and the move that was under way then."""

    reign: Reign | None
    moving: Entry | None


def closed_at(entry: Entry) -> str:
    """When an entry was closed."""
    if entry.close is None:
        raise ValueError(f"entry {entry.number} is open")
    return entry.close.at


def remembers(entry: Entry) -> bool:
    """Whether a move leaves the version before it as PREVIOUS: of the champion, to another one."""
    moved = entry.before not in ("", entry.after)
    return entry.alias == CHAMPION and entry.kind != "mend" and moved


def misspelt(alias: str) -> str:
    """The alias that this one looks like to people, who read over its case; "" for its own name."""
    told = alias.lower().replace("_", "-")
    return told if told in (CHAMPION, PREVIOUS) and told != alias else ""


def of_alias(entries: Iterable[Entry], alias: str) -> list[Entry]:
    """The entries of one alias, in order."""
    return [entry for entry in entries if entry.alias == alias]


def current(entries: Iterable[Entry], alias: str = CHAMPION) -> Entry | None:
    """The move that gave the alias to the version that has it."""
    done = [entry for entry in of_alias(entries, alias) if entry.done]
    return done[-1] if done else None


def under_way(entries: Sequence[Entry]) -> Entry | None:
    """The move that is decided and not closed."""
    return entries[-1] if entries and entries[-1].close is None else None


def reigns(entries: Iterable[Entry], alias: str = CHAMPION) -> list[Reign]:
    """Every reign in order. A move to the version that already had it begins a new one."""
    done = [entry for entry in of_alias(entries, alias) if entry.done]
    return [Reign(entry, ended) for entry, ended in zip(done, [*done[1:], None], strict=True)]


def at_moment(entries: Sequence[Entry], moment: datetime, alias: str = CHAMPION) -> Moment:
    """Who had the alias at a moment, which is aware of its time zone."""
    reign = None
    for each in reigns(entries, alias):
        if read_time(each.since) <= moment:
            reign = each
    moving = None
    for entry in of_alias(entries, alias):
        ended = read_time(entry.close.at) if entry.close else None
        if read_time(entry.at) <= moment and (ended is None or moment < ended):
            moving = entry
    return Moment(reign, moving)


def way_back(entries: Iterable[Entry]) -> Entry | None:
    """The move whose release a rollback goes to: the champion before, and never one rolled back.

    Promotions pile up; a rollback takes away what lies above the release it goes to.
    """
    pile: list[Entry] = []
    for entry in of_alias(entries, CHAMPION):
        if not entry.done or not entry.release or entry.kind == "mend":
            continue
        if entry.kind == "rollback":
            below = [n for n, each in enumerate(pile) if each.release == entry.release]
            pile = pile[: below[-1]] if below else pile[:-1]
        elif pile and pile[-1].after == entry.after:
            pile.pop()  # the same version, released again
        pile.append(entry)
    return pile[-2] if len(pile) > 1 else None


def last_of_release(entries: Iterable[Entry], release: str) -> Entry | None:
    """The last done move of the champion to a release."""
    found = [
        entry for entry in of_alias(entries, CHAMPION) if entry.done and entry.release == release
    ]
    return found[-1] if found else None


def last_of_version(entries: Iterable[Entry], version: str) -> Entry | None:
    """The last done move of the champion to a release of a version."""
    found = [
        entry
        for entry in of_alias(entries, CHAMPION)
        if entry.done and entry.after == version and entry.release
    ]
    return found[-1] if found else None


def read_time(text: str) -> datetime:
    """An entry's time."""
    return datetime.fromisoformat(text)


def stamp(now: datetime, after: str) -> str:
    """A time for the ledger: `now`, or a tick after `after` where clocks of machines disagree."""
    moment = now.astimezone(UTC)
    if after:
        moment = max(moment, read_time(after) + TICK)
    return moment.isoformat(timespec="milliseconds")
