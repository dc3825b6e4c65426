"""The commands that the pipeline gives to a model: load, predict, golden, and so on.

Each is a frame {"command", "id", …} and is answered by a frame with the same id: its result, or
{"error": one line}. Only this module holds the pipe; whatever the model prints goes to standard
error. Nothing is measured here: the model's code shares this process, and could say anything.
"""

import gc
import json
import os
import traceback
from collections.abc import Callable
from io import BufferedReader, BufferedWriter
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from .frames import Frame, pack, read
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
        self._held: list[tuple[Any, int]] = []
        self._commands: dict[str, Callable[[Frame], Frame]] = {
            "start": self._start,
            "load": self._load,
            "settle": self._settle,
            "predict": self._predict,
            "hold": self._hold,
            "held": self._predict_held,
            "golden": self._golden,
        }

    def answer(self, frame: Frame) -> list[memoryview]:
        """Carry out one command. Whatever the model's code raises becomes one line."""
        asked = {"id": frame.header["id"]}
        try:
            answer = self._commands[frame.header["command"]](frame)
            return pack({**answer.header, **asked}, answer.arrays)
        except BaseException as error:  # noqa: BLE001 model code may raise anything, SystemExit too
            traceback.print_exc()
            first = (str(error).strip() or "no message").splitlines()[0]
            return pack({"error": f"{type(error).__name__}: {first[:500]}", **asked})

    def _start(self, frame: Frame) -> Frame:
        """Import mlflow, so that it counts neither as load time nor as prediction time."""
        del frame
        import mlflow.pyfunc

        return Frame({"mlflow": mlflow.__version__})

    def _load(self, frame: Frame) -> Frame:
        """Load the model at "path"."""
        import mlflow.pyfunc

        self._path = frame.header["path"]
        self._model = mlflow.pyfunc.load_model(self._path)
        return Frame({})

    def _settle(self, frame: Frame) -> Frame:
        """Do as the server does after loading: collecting all that mlflow made takes 100 ms."""
        del frame
        gc.collect()
        gc.freeze()
        return Frame({})

    def _predict(self, frame: Frame) -> Frame:
        """Predict one batch: an array with one entry a row."""
        data = _table(frame)
        return Frame({}, (as_array(self._model.predict(data), len(data)),))

    def _hold(self, frame: Frame) -> Frame:
        """Keep what `held` asks for, so that an exchange is timed with little around the model.

        First every row alone, then all of them, then "batch_rows" of them, repeated where there are
        fewer. Without arrays the rows are those of the model's input example.
        """
        data = (
            _table(frame) if frame.arrays else self._model.metadata.load_input_example(self._path)
        )
        rows, batch_rows = _row_count(data), frame.header["batch_rows"]
        self._held = [(_row(data, row), 1) for row in range(rows)]
        self._held += [(data, rows), (_repeated(data, batch_rows), batch_rows)]
        return Frame({"rows": rows})

    def _predict_held(self, frame: Frame) -> Frame:
        """Predict what is held at "place": an array with one entry a row."""
        data, rows = self._held[frame.header["place"]]
        return Frame({}, (as_array(self._model.predict(data), rows),))

    def _golden(self, frame: Frame) -> Frame:
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
        return Frame({}, (np.fromiter(predictions, dtype=object, count=len(predictions)),))


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
