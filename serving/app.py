"""The ASGI app: MLflow's endpoints, `/model`, `/ready` and `/metrics`, over one loaded model."""

import gc
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.version import VERSION

from serving import cpus, metrics, model, request_log
from serving.batching import Batcher, Job, QueueFullError
from serving.context import ServedRelease, model_folder, read_release
from serving.protocol import JSON, TEXT, Answer, enter_serving_environment
from serving.reception import CLOSE, NO_ROOM, Receive, Room, Send, discard_rest, read_body
from serving.settings import Settings

PARSED_HERE_BYTES = 65536  # a larger body is parsed in the thread: it would hold up the others
NOT_FOUND = Answer(404, b'{"detail":"Not Found"}')
WRONG_METHOD = Answer(405, b'{"detail":"Method Not Allowed"}')
OVERLOADED = Answer(
    429, b"Too many requests are waiting; try again", TEXT, ((b"retry-after", b"1"),)
)


def create_app(context: Path, settings: Settings) -> "ServingApp":
    """Load the model of a context folder, let it answer its own input example, return the app.

    Raises:
        ServingError: the context is unusable, the model does not load or fails on its example.
    """
    release = read_release(context)
    folder = model_folder(context)
    enter_serving_environment()
    app = ServingApp(model.load_served_model(folder, release, settings), release, settings)
    _silence_warnings()
    gc.collect()
    gc.freeze()  # a full collection over a loaded model pauses everybody by 100 ms
    gc.enable()
    return app


def _silence_warnings() -> None:
    """Warnings quote what clients send; and each of Python's filters costs time.

    scikit-learn installs all of them anew for every tree of a forest: with the fifteen that the
    usual imports leave behind, a forest of 100 takes twice as long to predict as with one.
    """
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    if not sys.warnoptions:  # nobody asked for others by -W or PYTHONWARNINGS
        warnings.resetwarnings()
        warnings.simplefilter("ignore")


class ServingApp:
    """An ASGI 3 app for one event loop, on any number of servers.

    Attributes:
        release: which release it serves.
        ready: false once `begin_drain()` was called: `GET /ready` is 503, and every answer closes
            its connection.
    """

    def __init__(
        self, served: model.ServedModel, release: ServedRelease, settings: Settings
    ) -> None:
        self.ready = True
        self.release = release
        self._model = served
        self._settings = settings
        self._metrics = metrics.Metrics(release)
        threads = settings.threads or (1 if served.merges else cpus.available() + 4)
        self._batcher = Batcher(served, settings, self._metrics, threads=threads)
        self._room = Room(settings.held_bytes)
        self._sampled = request_log.sampler(settings.log_sample)

    def begin_drain(self) -> None:
        """Answer "not ready" from now on; requests are still answered, their connections closed."""
        self.ready = False

    def stuck_seconds(self) -> float:
        """How long no prediction could begin, because every thread is at one that does not end."""
        return self._batcher.stuck_seconds()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["path"] == "/invocations" and scope["method"] == "POST":
            result = await self._invocations(scope["headers"], receive)
        else:
            result = self._other(scope["path"], scope["method"])
        headers = [
            (b"content-length", b"%d" % len(result.body)),
            (b"content-type", result.content_type),
            *result.headers,
        ]
        if not self.ready and result.headers[-1:] != CLOSE:
            headers.extend(CLOSE)
        await send({"type": "http.response.start", "status": result.status, "headers": headers})
        if result.status == 413 or result is NO_ROOM:
            await send({"type": "http.response.body", "body": result.body, "more_body": True})
            await discard_rest(receive)
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.body", "body": result.body})

    def _other(self, path: str, method: str) -> Answer:
        """Everything but POST /invocations."""
        answers: dict[str, Callable[[], Answer]] = {
            "/ping": lambda: Answer(200, b"\n"),
            "/health": lambda: Answer(200, b"\n"),
            "/version": lambda: Answer(200, VERSION.encode()),
            "/model": lambda: Answer(200, self.release.answer()),
            "/ready": self._readiness,
            "/metrics": lambda: Answer(200, self._metrics.text(), metrics.CONTENT_TYPE),
        }
        if path == "/invocations":
            return WRONG_METHOD._replace(headers=((b"allow", b"POST"),))
        if path not in answers:
            return NOT_FOUND
        if method != "GET":
            return WRONG_METHOD._replace(headers=((b"allow", b"GET"),))
        return answers[path]()

    def _readiness(self) -> Answer:
        if not self.ready:
            return Answer(503, b'{"ready": false, "reason": "draining"}', JSON)
        if self.stuck_seconds() > self._settings.request_seconds:
            return Answer(503, b'{"ready": false, "reason": "no prediction ends"}', JSON)
        return Answer(200, b'{"ready": true}', JSON)

    async def _invocations(self, headers: list[tuple[bytes, bytes]], receive: Receive) -> Answer:
        """Read, queue and answer one request; count it and log a sample."""
        started = time.perf_counter()
        limit, seconds = self._settings.body_bytes, self._settings.request_seconds
        declared = _header(headers, b"content-length")
        body = await read_body(receive, declared, limit=limit, seconds=seconds, room=self._room)
        job = None
        if isinstance(body, Answer):
            result = body
            size = 0
        else:
            size = len(body)
            try:
                job = self._job(body, _header(headers, b"content-type"))
                result = await self._batcher.submit(job, seconds - (time.perf_counter() - started))
            except QueueFullError:
                result, job = OVERLOADED, None
            finally:
                self._room.give_back(size)
        elapsed = time.perf_counter() - started
        self._metrics.total(elapsed)
        self._metrics.answered(result.status)
        if result.status >= 500 or self._sampled():
            request_log.write(result.status, job, size, elapsed)
        return result

    def _job(self, body: bytes, content_type: bytes | None) -> Job:
        """Read the request if it is small enough to be read here."""
        parsed = None
        if len(body) <= PARSED_HERE_BYTES:
            started = time.perf_counter()
            parsed = self._model.parse(body, content_type)
            if parsed is not None:
                self._metrics.parse(time.perf_counter() - started)
        text = None if content_type is None else content_type.decode("latin-1")
        return Job(body, text, parsed)


def _header(headers: list[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    """The first header of that name, as MLflow's web framework reads it."""
    for name, value in headers:
        if name == wanted:
            return value
    return None
