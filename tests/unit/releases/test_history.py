"""The ledger's meaning: reigns, moments, the way back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_release.releases.history import (
    Close,
    Entry,
    Kind,
    Outcome,
    at_moment,
    current,
    last_of_version,
    misspelt,
    read_time,
    reigns,
    remembers,
    stamp,
    under_way,
    way_back,
)

START = datetime(2026, 11, 24, 8, tzinfo=UTC)


def time(minute: float) -> str:
    return (START + timedelta(minutes=minute)).isoformat(timespec="milliseconds")


def entry(
    number: int, kind: Kind, before: str, after: str, outcome: Outcome | None = "done"
) -> Entry:
    """Decided at minute 10 x number, closed two minutes later."""
    close = Close(outcome, time(10 * number + 2)) if outcome else None
    return Entry(
        number, f"id{number}", "champion", kind, before, after, f"r{after}", time(10 * number),
        "ada", "bad" if kind == "rollback" else "", close,
    )  # fmt: skip


WEEK = (
    entry(1, "promotion", "", "1"),
    entry(2, "promotion", "1", "2"),
    entry(3, "promotion", "2", "3", "abandoned"),
    entry(4, "promotion", "2", "4"),
    entry(5, "rollback", "4", "2"),
    entry(6, "mend", "7", "2"),
    entry(7, "promotion", "2", "5", None),
)


def test_a_move_of_the_champion_to_another_version_leaves_the_one_before() -> None:
    assert [each.number for each in WEEK if remembers(each)] == [2, 3, 4, 5, 7]
    assert not remembers(entry(2, "promotion", "1", "1"))
    assert not remembers(replace(entry(2, "transition", "1", "2"), alias="challenger"))


@pytest.mark.parametrize(
    ("alias", "told"),
    [
        ("champion", ""),
        ("previous-champion", ""),
        ("challenger", ""),
        ("Champion", "champion"),
        ("previous_champion", "previous-champion"),
        ("PREVIOUS-champion", "previous-champion"),
    ],
)
def test_an_alias_that_people_take_for_the_champions_is_misspelt(alias: str, told: str) -> None:
    assert misspelt(alias) == told


def test_reigns_follow_one_another_without_a_gap() -> None:
    found = [(each.version, each.since, each.until) for each in reigns(WEEK)]
    assert found == [
        ("1", time(12), time(22)),
        ("2", time(22), time(42)),
        ("4", time(42), time(52)),
        ("2", time(52), time(62)),
        ("2", time(62), ""),
    ]


@pytest.mark.parametrize(
    ("minute", "version", "moving"),
    [
        (5, None, None),
        (11, None, "1"),
        (12, "1", None),
        (31, "2", "3"),
        (41.999, "2", "4"),
        (42, "4", None),
        (51, "4", "2"),
        (53, "2", None),
        (75, "2", "5"),
    ],
)
def test_who_was_champion_at_a_moment(
    minute: float, version: str | None, moving: str | None
) -> None:
    found = at_moment(WEEK, read_time(time(minute)))
    assert (found.reign.version if found.reign else None) == version
    assert (found.moving.after if found.moving else None) == moving


def test_current_and_what_is_under_way() -> None:
    now, open_move = current(WEEK), under_way(WEEK)
    assert now is not None
    assert (now.number, now.after) == (6, "2")
    assert open_move is not None
    assert open_move.number == 7
    assert under_way(WEEK[:6]) is None
    assert under_way(()) is None
    assert current(WEEK, "challenger") is None


def test_the_way_back_never_leads_to_what_was_rolled_back() -> None:
    def goes_to(count: int) -> str | None:
        found = way_back(WEEK[:count])
        return found.after if found else None

    assert [goes_to(count) for count in range(7)] == [None, None, "1", "1", "2", "1", "1"]


def test_a_rollback_to_a_named_release_that_lies_above() -> None:
    entries = (*WEEK[:5], entry(6, "rollback", "2", "4"))
    found = way_back(entries)
    assert found is not None
    assert found.after == "1", "2 was rolled back from"


def test_the_last_release_of_a_version() -> None:
    found = last_of_version(WEEK, "2")
    assert found is not None
    assert found.number == 6
    assert last_of_version(WEEK, "3") is None, "that promotion was called off"


@settings(deadline=None)
@given(
    now=st.datetimes(
        min_value=datetime(2026, 1, 1),
        max_value=datetime(2027, 1, 1),
        timezones=st.timezones(),
        allow_imaginary=False,
    ),
    skews=st.lists(st.integers(-5_000_000, 5_000_000), max_size=8),
)
def test_times_only_grow_whatever_the_clocks_say(now: datetime, skews: list[int]) -> None:
    told = [stamp(now, "")]
    for skew in skews:
        told.append(stamp(now + timedelta(milliseconds=skew), told[-1]))
    assert all(read_time(a) < read_time(b) for a, b in pairwise(told))
    assert all(each.endswith("+00:00") for each in told)
