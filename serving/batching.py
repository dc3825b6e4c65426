"""Requests that wait while a prediction runs are predicted together: nobody waits for a batch.

A request that finds an idle model is predicted at once. Those that come meanwhile wait in a bounded
queue; when a prediction ends, all that can be merged (up to a number of rows) is the next one.

"At once" means: when the event loop has had nothing to read for a few turns, some 20 µs. The
answers that have just left bring their callers' next requests; a prediction that begins before
those are read takes half of them, and two half batches cost nearly twice the time of a whole one.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from serving.inputs import Parsed
from serving.metrics import Metrics
from serving.model import ServedModel, Timings
from serving.protocol import SERVER_ERROR, TIMED_OUT, Answer, log_failure
from serving.settings import Settings

QUIET_TURNS = 4
"""Turns of the event loop without a new request until a prediction begins."""

_logger = logging.getLogger(__name__)


class QueueFullError(Exception):
    """The queue is full: no more requests may wait."""


class Job:
    """One request that waits for its answer. Times are `time.perf_counter()` seconds."""

    __slots__ = ("answer", "body", "content_type", "merged", "parsed", "queued", "timer", "wait")

    def __init__(self, body: bytes, content_type: str | None, parsed: Parsed | None) -> None:
        self.body = body
        self.content_type = content_type
        self.parsed = parsed
        self.queued = time.perf_counter()
        self.wait = 0.0
        self.merged = 1
        self.answer: asyncio.Future[Answer]
        self.timer: asyncio.TimerHandle


class Batcher:
    """The queue in front of one model. Use it from one event loop only."""

    def __init__(
        self, model: ServedModel, settings: Settings, metrics: Metrics, *, threads: int
    ) -> None:
        self._model = model
        self._settings = settings
        self._metrics = metrics
        self._threads = threads
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="predict")
        self._queue: deque[Job] = deque()
        self._running = 0
        self._starting = False
        self._begun: dict[int, float] = {}

    async def submit(self, job: Job, seconds: float) -> Answer:
        """Wait for the answer of `job`, at most `seconds`: then it is 504.

        Raises:
            QueueFullError: the queue is full; the job was not taken.
        """
        if len(self._queue) >= self._settings.queue_requests:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        job.answer = loop.create_future()
        job.timer = loop.call_later(seconds, _resolve, job, TIMED_OUT)
        self._queue.append(job)
        self._start_soon(loop)
        return await job.answer

    def stuck_seconds(self) -> float:
        """How long every thread has been at one prediction; 0 while there is one that has none."""
        begun = list(self._begun.values())
        return time.perf_counter() - max(begun) if len(begun) == self._threads else 0.0

    def _start_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start after what the event loop has ready: requests read together go together."""
        if not self._starting and self._running < self._threads:
            self._starting = True
            loop.call_soon(self._start_when_quiet, loop, len(self._queue), QUIET_TURNS)

    def _start_when_quiet(self, loop: asyncio.AbstractEventLoop, seen: int, turns: int) -> None:
        """Start if no request came for some turns, or if enough wait for a full prediction."""
        waiting = len(self._queue)
        if waiting >= self._settings.batch_rows or (waiting <= seen and turns == 0):
            self._start(loop)
        else:
            left = turns - 1 if waiting <= seen else QUIET_TURNS
            loop.call_soon(self._start_when_quiet, loop, waiting, left)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give idle threads the next batches."""
        self._starting = False
        while self._queue and self._running < self._threads:
            batch = self._next()
            if batch:
                self._running += 1
                self._pool.submit(self._run, batch, loop)
        self._metrics.queue(len(self._queue))

    def _next(self) -> list[Job]:
        """The oldest request and all that may be merged with it; the others keep their order."""
        batch: list[Job] = []
        others: deque[Job] = deque()
        rows = 0
        for job in self._queue:
            if job.answer.done():
                continue
            if not batch:
                batch.append(job)
                rows = job.parsed.rows if job.parsed and self._model.merges else 0
            elif rows and job.parsed and rows + job.parsed.rows <= self._settings.batch_rows:
                batch.append(job)
                rows += job.parsed.rows
            else:
                others.append(job)
        self._queue = others
        return batch

    def _run(self, batch: list[Job], loop: asyncio.AbstractEventLoop) -> None:
        """Predict one batch; runs in a thread, hands the answers to the event loop."""
        started = self._begin()
        for job in batch:
            job.wait = started - job.queued
            job.merged = len(batch)
            self._metrics.wait(job.wait)
        try:
            answers = self._predict(batch)
        except BaseException as error:  # noqa: BLE001  a model may raise anything, even SystemExit
            log_failure("prediction", error)
            answers = [SERVER_ERROR] * len(batch)
        self._begun.pop(threading.get_ident(), None)
        loop.call_soon_threadsafe(self._finish, batch, answers, loop)

    def _begin(self) -> float:
        """This thread begins a prediction now."""
        self._begun[threading.get_ident()] = now = time.perf_counter()
        return now

    def _predict(self, batch: list[Job]) -> list[Answer]:
        parsed = [job.parsed for job in batch if job.parsed is not None]
        if parsed:
            answers, timings = self._model.predict(parsed)
            if answers is not None:
                self._metrics.batch_requests(len(batch))
                self._metrics.batch_rows(sum(each.rows for each in parsed))
                self._observe(timings)
                return answers
        return [self._alone(job) for job in batch]

    def _alone(self, job: Job) -> Answer:
        self._begin()
        result, timings = self._model.answer(job.body, job.content_type)
        self._metrics.batch_requests(1)
        self._metrics.parse(timings.parse)
        self._observe(timings)
        return result

    def _observe(self, timings: Timings) -> None:
        self._metrics.predict(timings.predict)
        self._metrics.serialize(timings.serialize)

    def _finish(
        self, batch: list[Job], answers: Sequence[Answer], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._running -= 1
        for job, result in zip(batch, answers, strict=True):
            _resolve(job, result)
        self._start_soon(loop)


def _resolve(job: Job, result: Answer) -> None:
    job.timer.cancel()
    if not job.answer.done():
        job.answer.set_result(result)
