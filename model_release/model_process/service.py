"""The commands that the pipeline gives to a model: load, predict, time, golden.

Each is a frame {"command", …} and is answered by a frame: its result, or {"error": one line}. Only
this module holds the pipe; whatever the model prints goes to standard error.
"""

import gc
import json
import os
import time
import traceback
from collections.abc import Callable
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from .frames import Array, Frame, pack, read
from .predictions import as_array


def serve() -> NoReturn:
    """Answer commands on what were standard input and output, until the pipeline closes them."""
    requests, replies = _take_pipes()
    service, owner = Service(), os.getpid()

    def source(length: int) -> bytearray:
        body = bytearray(length)
        if requests.readinto(body) != length:
            os._exit(0)  # the pipeline is gone; nobody is left to tell
        return body

    while True:
        answer = service.answer(read(source))
        if os.getpid() != owner:
            os._exit(0)  # a model that forked: only the first process speaks
        for piece in answer:
            replies.write(piece)
        replies.flush()


def _take_pipes() -> tuple[BufferedReader, BufferedWriter]:
    """Keep the pipes for frames alone: the model reads nothing and prints to standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, replies


class Service:
    """One model and the commands about it."""

    def __init__(self) -> None:
        self._model: Any = None
        self._path = ""
        self._commands: dict[str, Callable[[Frame], list[memoryview]]] = {
            "start": self._start,
            "load": self._load,
            "predict": self._predict,
            "time": self._time,
            "golden": self._golden,
        }

    def answer(self, frame: Frame) -> list[memoryview]:
        """Carry out one command. Whatever the model's code raises becomes one line."""
        try:
            return self._commands[frame.header["command"]](frame)
        except BaseException as error:  # noqa: BLE001 model code may raise anything, SystemExit too
            traceback.print_exc()
            first = (str(error).strip() or "no message").splitlines()[0]
            return pack({"error": f"{type(error).__name__}: {first[:500]}"})

    def _start(self, frame: Frame) -> list[memoryview]:
        """Import mlflow, so that it counts neither as load time nor as prediction time."""
        del frame
        import mlflow.pyfunc

        return pack({"mlflow": mlflow.__version__})

    def _load(self, frame: Frame) -> list[memoryview]:
        """Load the model at "path": seconds, and the peak resident bytes of this process."""
        import mlflow.pyfunc

        self._path = frame.header["path"]
        started = time.perf_counter()
        self._model = mlflow.pyfunc.load_model(self._path)
        seconds = time.perf_counter() - started
        gc.collect()
        gc.freeze()  # as the server does: a collection of all that mlflow made takes 100 ms
        return pack({"seconds": seconds, "memory_bytes": _peak_memory()})

    def _predict(self, frame: Frame) -> list[memoryview]:
        """Predict one batch: an array with one entry a row."""
        data = _table(frame)
        started = time.perf_counter()
        answer = self._model.predict(data)
        seconds = time.perf_counter() - started
        return pack({"seconds": seconds}, [as_array(answer, len(data))])

    def _time(self, frame: Frame) -> list[memoryview]:
        """Time rows alone and in batches; answers to each row alone and to all rows together."""
        data = (
            _table(frame) if frame.arrays else self._model.metadata.load_input_example(self._path)
        )
        rows = _row_count(data)
        together = as_array(self._model.predict(data), rows)
        singles = [_row(data, row) for row in range(rows)]
        wanted, budget = frame.header["single"], frame.header["seconds"]
        single_ms, answers = self._timed((singles[i % rows] for i in range(wanted)), budget)
        alone = [as_array(answer, 1) for answer in answers[:rows]]
        batch = _repeated(data, frame.header["batch_rows"])
        batch_ms, _ = self._timed((batch for _ in range(frame.header["batches"])), budget)
        return pack({}, [single_ms, batch_ms, np.concatenate(alone), together[: len(alone)]])

    def _timed(self, batches: Any, budget: float) -> tuple[Array, list[Any]]:
        """Milliseconds of all calls but the first, and all answers; 5, or more in `budget` s."""
        milliseconds: list[float] = []
        answers: list[Any] = []
        deadline = time.perf_counter() + budget
        for batch in batches:
            started = time.perf_counter()
            answers.append(self._model.predict(batch))
            milliseconds.append(1e3 * (time.perf_counter() - started))
            if len(milliseconds) >= 6 and time.perf_counter() > deadline:
                break
        return np.array(milliseconds[1:] or milliseconds), answers

    def _golden(self, frame: Frame) -> list[memoryview]:
        """What MLflow's scoring protocol answers to each of "requests" (JSON bodies)."""
        from mlflow.pyfunc import scoring_server

        invocations: Callable[..., Any] = scoring_server.invocations
        schema = self._model.metadata.get_input_schema()
        predictions = []
        for request in frame.header["requests"]:
            body = json.dumps(request)
            reply = invocations(body, "application/json", self._model, schema)
            if reply.status != 200:
                raise ValueError(f"the scoring protocol answered {reply.status}: {reply.response}")
            answer = json.loads(reply.response)
            predictions.append(answer.get("predictions", answer))
        return pack({"predictions": predictions})


def _table(frame: Frame) -> pd.DataFrame:
    return pd.DataFrame(dict(zip(frame.header["columns"], frame.arrays, strict=True)), copy=False)


def _row_count(data: Any) -> int:
    if isinstance(data, dict):
        return min(len(value) for value in data.values())
    return len(data)


def _row(data: Any, row: int) -> Any:
    if isinstance(data, dict):
        return {name: value[row : row + 1] for name, value in data.items()}
    return data.iloc[row : row + 1] if isinstance(data, pd.DataFrame) else data[row : row + 1]


def _repeated(data: Any, rows: int) -> Any:
    """`data`, its rows repeated or cut to `rows`."""
    order = np.arange(rows) % _row_count(data)
    if isinstance(data, dict):
        return {name: np.asarray(value)[order] for name, value in data.items()}
    if isinstance(data, pd.DataFrame):
        return data.iloc[order].reset_index(drop=True)
    return data[order] if isinstance(data, np.ndarray) else [data[i] for i in order]


def _peak_memory() -> int:
    """Peak resident set of this process alone; `ru_maxrss` may count its parent's before `exec`."""
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
