"""Waiting: how often, how long, and what comes of it."""

import time

import pytest

from model_release.waiting import polls, retry


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("seconds", "pauses"),
    [(0, []), (-1, []), (1, [1]), (2, [1.5, 0.5]), (3, [1.5, 1.5])],
)
def test_looks_at_once_and_a_last_time_when_the_time_is_up(
    clock: Clock, seconds: float, pauses: list[float]
) -> None:
    looked = [clock.now for _ in polls(seconds, every=1.5)]
    assert clock.pauses == pauses
    assert looked == [100 + sum(pauses[:each]) for each in range(len(pauses) + 1)]


def test_a_look_that_takes_longer_than_the_time_is_the_last(clock: Clock) -> None:
    turns = 0
    for _ in polls(10, every=1):
        turns += 1
        clock.now += 11
    assert (turns, clock.pauses) == (1, [])


def test_ends_without_a_pause_once_it_was_seen(clock: Clock) -> None:
    for _ in polls(10, every=1):
        if clock.now >= 102:
            break
    assert clock.pauses == [1, 1]


class Server:
    """Raises what it is told, one error a call, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)

    def ask(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "yes"


def test_a_call_is_made_again_while_it_fails(clock: Clock) -> None:
    server = Server(ConnectionRefusedError(), ConnectionResetError())
    assert retry(server.ask, ConnectionError, 10, every=2) == "yes"
    assert clock.pauses == [2, 2]


def test_the_last_failure_is_raised_as_it_was(clock: Clock) -> None:
    errors = [ConnectionError("first"), ConnectionError("second"), ConnectionError("third")]
    with pytest.raises(ConnectionError, match="second") as raised:
        retry(Server(*errors).ask, ConnectionError, 2, every=2)
    assert raised.value is errors[1]


def test_without_time_a_call_is_made_once(clock: Clock) -> None:
    with pytest.raises(ConnectionError, match="first"):
        retry(Server(ConnectionError("first")).ask, ConnectionError, 0, every=2)
    assert clock.pauses == []


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt("no")])
def test_other_failures_are_raised_at_once(clock: Clock, error: BaseException) -> None:
    with pytest.raises(type(error), match="no"):
        retry(Server(error).ask, ConnectionError, 10, every=2)
    assert clock.pauses == []
