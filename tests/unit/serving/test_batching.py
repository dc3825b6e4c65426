"""What is merged, in which order, and what a waiting request is told."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from serving.batching import Batcher, Job, QueueFullError
from serving.context import ServedRelease
from serving.inputs import Parsed
from serving.metrics import Metrics
from serving.model import Timings
from serving.protocol import SERVER_ERROR, TIMED_OUT, Answer
from serving.settings import Settings

NO_TIME = Timings(0, 0, 0)


class Gated:
    """A model that predicts when the gate is open and records what it was asked together."""

    def __init__(self, *, merges: bool = True) -> None:
        self.merges = merges
        self.gate = threading.Event()
        self.calls: list[list[Any]] = []

    def predict(self, requests: Sequence[Parsed]) -> tuple[list[Answer] | None, Timings]:
        assert self.gate.wait(60)
        self.calls.append([each.values for each in requests])
        if "together" in self.calls[-1]:
            return None, NO_TIME
        return [Answer(200, str(each.values).encode()) for each in requests], NO_TIME

    def answer(self, body: bytes, content_type: str | None) -> tuple[Answer, Timings]:
        assert self.gate.wait(60)
        assert content_type == "type"
        if body == b"exit":
            raise SystemExit
        self.calls.append([body])
        return Answer(201, body), NO_TIME


def job(value: Any, rows: int = 1) -> Job:
    """A request that a plan read (a value), or one for MLflow's code (bytes)."""
    if isinstance(value, bytes):
        return Job(value, "type", None)
    return Job(str(value).encode(), "type", Parsed(value, rows))


def answers(
    model: Gated, first: Job, *others: Job, seconds: float = 60, **settings: Any
) -> list[Any]:
    """Submit `first`; while it is predicted submit `others`; then open the gate; all outcomes.

    Where they wait for less than a minute, the gate opens when nobody waits any more.
    """
    release = ServedRelease("m", "1", "", "", batching=True)

    async def run() -> list[Any]:
        batcher: Any = Batcher(model, Settings(**settings), Metrics(release), threads=1)  # type: ignore[arg-type]
        waiting = [asyncio.ensure_future(batcher.submit(first, seconds))]
        while not (batcher._running or waiting[0].done()):
            await asyncio.sleep(0)
        waiting += [asyncio.ensure_future(batcher.submit(each, seconds)) for each in others]
        await asyncio.sleep(0)  # each is in the queue now, or was refused
        if seconds < 60:
            await asyncio.wait(waiting)
        model.gate.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(run())


def test_what_waits_is_merged_and_each_gets_its_own() -> None:
    model = Gated()
    replies = answers(model, job(1), job(2), job(3), job(4))
    assert model.calls == [[1], [2, 3, 4]]
    assert [reply.body for reply in replies] == [b"1", b"2", b"3", b"4"]


def test_other_requests_keep_their_turn_between_batches() -> None:
    model = Gated()
    replies = answers(model, job(1), job(2), job(b"csv"), job(3), job(b"parquet"))
    assert model.calls == [[1], [2, 3], [b"csv"], [b"parquet"]]
    assert [reply.body for reply in replies] == [b"1", b"2", b"csv", b"3", b"parquet"]


def test_a_batch_is_bounded_in_rows_but_one_request_is_never_split() -> None:
    model = Gated()
    answers(
        model, job(1), job(2, rows=3), job(3, rows=3), job(4, rows=2), job(5, rows=9), batch_rows=5
    )
    assert model.calls == [[1], [2, 4], [3], [5]]


def test_nothing_is_merged_where_it_may_not_be() -> None:
    model = Gated(merges=False)
    answers(model, job(1), job(2), job(3))
    assert model.calls == [[1], [2], [3]]


def test_a_batch_that_fails_is_answered_one_by_one() -> None:
    model = Gated()
    replies = answers(model, job(1), job(2), job("together"), job(3))
    assert model.calls[:2] == [[1], [2, "together", 3]]
    assert replies[1:] == [Answer(201, b"2"), Answer(201, b"together"), Answer(201, b"3")]


def test_a_full_queue_refuses_the_next() -> None:
    replies = answers(Gated(), job(1), job(2), job(3), job(4), queue_requests=2)
    assert [type(reply) for reply in replies] == [Answer, Answer, Answer, QueueFullError]


def test_a_model_that_exits_is_a_server_error_and_the_queue_goes_on() -> None:
    assert answers(Gated(), job(b"exit"), job(2)) == [SERVER_ERROR, Answer(200, b"2")]


@pytest.mark.parametrize("value", [2, b"csv"])
def test_who_waits_too_long_is_told_and_not_predicted(value: Any) -> None:
    model = Gated()
    replies = answers(model, job(1), job(value), seconds=0.01)
    assert replies == [TIMED_OUT, TIMED_OUT]
    assert model.calls in ([], [[1]])


@pytest.mark.parametrize(
    ("batch_rows", "calls"),
    [(256, [[1, 2, 3, 4, 5, 6]]), (2, [[1, 2], [3, 4], [5, 6]])],
    ids=["until it is quiet", "until there are enough"],
)
def test_requests_that_follow_one_another_closely_go_together(
    batch_rows: int, calls: list[list[int]]
) -> None:
    model = Gated()
    model.gate.set()

    async def run() -> None:
        metrics = Metrics(ServedRelease("m", "1", "", "", batching=True))
        settings = Settings(batch_rows=batch_rows)
        batcher: Any = Batcher(model, settings, metrics, threads=1)  # type: ignore[arg-type]
        waiting = []
        for value in range(1, 7):
            waiting.append(asyncio.ensure_future(batcher.submit(job(value), 10)))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    asyncio.run(run())
    assert model.calls == calls


def test_it_is_stuck_when_every_thread_is_at_one_prediction() -> None:
    async def run() -> None:
        model = Gated()
        metrics = Metrics(ServedRelease("m", "1", "", "", batching=True))
        batcher: Any = Batcher(model, Settings(batch_rows=1), metrics, threads=2)  # type: ignore[arg-type]
        waiting = [asyncio.ensure_future(batcher.submit(job(1), 60))]
        while len(batcher._begun) < 1:
            await asyncio.sleep(0)
        assert batcher.stuck_seconds() == 0.0
        waiting.append(asyncio.ensure_future(batcher.submit(job(2), 60)))
        while len(batcher._begun) < 2:
            await asyncio.sleep(0)
        first = batcher.stuck_seconds()
        assert 0 < first < batcher.stuck_seconds()
        model.gate.set()
        await asyncio.gather(*waiting)
        assert batcher.stuck_seconds() == 0.0

    asyncio.run(run())
