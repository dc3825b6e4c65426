"""A model version that is measured, and its process; whatever fails becomes its `problem`."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model_release.gates.evidence import Claims, Load
from model_release.model_process.client import ModelError, ModelProcess
from model_release.model_process.frames import NOTHING, Array, Asked, Frame

START_SECONDS = 120.0
"""How long importing mlflow may take."""

MAX_HELD = 65_536
"""How many rows may be asked one by one."""


@dataclass(frozen=True)
class MeasuredModel:
    """A model version that is measured, with its files in `path`.

    `recorded` is the digest of its release, once there is one; `lock` is its release's lock, None
    where its requirements have yet to be locked.
    """

    name: str
    version: str
    status: str
    path: Path
    digest: str
    recorded: str | None
    claims: Claims
    lock: Path | None

    @property
    def example(self) -> Any | None:
        """Its own input example as mlflow wrote it, a scoring request; None where it has none.

        Raises:
            ValueError: the file is no JSON.
        """
        path = self.path / "serving_input_example.json"
        return json.loads(path.read_text("utf-8")) if path.is_file() else None


class Subject:
    """A measured model in its own process.

    Commands are sent and received in two steps, so that two subjects work at the same time. The
    first thing that goes wrong is kept in `problem`; nothing is asked after that.

    Args:
        model: the model version.
        home: folder for temporary files.
        seconds: how long it may take for one command.
    """

    def __init__(self, model: MeasuredModel, home: Path, seconds: float) -> None:
        self.model = model
        self.problem = "there is no environment to load it in"
        self.answers: list[Array] = []
        self._home = home
        self._seconds = seconds
        self._held_until = 0.0
        self._process: ModelProcess | None = None

    def start(self, python: Path) -> None:
        """Start the process, which begins to import mlflow. It loads nothing yet."""
        self.problem = ""
        name = f"{self.model.name} {self.model.version}"
        self._process = ModelProcess(python, name, self._home, [self.model.path])
        self.send("start")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()

    def send(
        self, command: str, header: Mapping[str, Any] | None = None, arrays: Sequence[Array] = ()
    ) -> None:
        """Send a command; nothing after a problem."""
        if self._process is None or self.problem:
            return
        try:
            self._process.send(command, header or {}, arrays)
        except (ModelError, TypeError) as error:
            self.problem = str(error)

    def receive(self, seconds: float | None = None, asked: Asked = NOTHING) -> Frame | None:
        """The answer to what was sent last; None after a problem."""
        if self._process is None or self.problem:
            return None
        try:
            return self._process.receive(seconds or self._seconds, asked)
        except ModelError as error:
            self.problem = str(error)
            return None

    def ask(
        self,
        command: str,
        header: Mapping[str, Any],
        arrays: Sequence[Array],
        asked: Asked,
        seconds: float | None = None,
    ) -> tuple[float, Frame]:
        """Send a command and wait for its answer; the seconds that it took, and the answer.

        A model that only raises may be asked again.

        Raises:
            ModelError: there is none.
        """
        if self._process is None or self.problem:
            raise ModelError(self.problem)
        try:
            self._process.send(command, header, arrays)
            frame = self._process.receive(self._seconds if seconds is None else seconds, asked)
        except ModelError as error:
            if self._process.ended:
                self.problem = str(error)
            raise
        return self._process.seconds, frame

    def hold(self, columns: Sequence[str], rows: Sequence[Array], batch_rows: int) -> int:
        """Have rows kept, or those of the input example, for `ask_held`; how many there are.

        Raises:
            ModelError: the model has no input example, or has not kept what it was sent.
        """
        self._held_until = time.monotonic() + self._seconds
        header = {"columns": list(columns), "batch_rows": batch_rows}
        _, frame = self.ask("hold", header, rows, NOTHING)
        held = frame.header.get("rows")
        if type(held) is not int or not 0 < held <= MAX_HELD or (rows and held != len(rows[0])):
            raise ModelError(
                "rows to be asked one by one",
                expected=f"{len(rows[0]):,}" if rows else f"1 to {MAX_HELD:,} in the input example",
                found=str(held)[:100],
            )
        return held

    def ask_held(self, place: int, rows: int) -> tuple[float, Array]:
        """Ask for what is kept at `place`, which are `rows` rows; the seconds, and the answer.

        All such questions together have as long as one command.

        Raises:
            ModelError: there is none.
        """
        left = self._held_until - time.monotonic()
        seconds, frame = self.ask("held", {"place": place}, (), Asked(rows, arrays=1), left)
        return seconds, frame.arrays[0]

    def started(self) -> None:
        """Wait until mlflow is imported."""
        self.receive(START_SECONDS)

    def load(self) -> None:
        """Begin to load the model."""
        self.send("load", {"path": str(self.model.path)})

    def loaded(self, seconds: float) -> Load:
        """What came of loading it, at most `seconds` from now.

        The clock stops when the answer is taken in: do nothing else between `load` and this.
        """
        self.receive(seconds)
        if self._process is None or self.problem:
            return Load(problem=self.problem)
        load = Load(self._process.seconds, self._process.peak_memory())
        self.send("settle")
        self.receive()
        return replace(load, problem=self.problem)

    def may_lack_a_module(self) -> bool:
        """Whether a missing module may be why it does not load, or fails on its input example.

        For the example MLflow hides the cause, so any error may be a missing module.
        """
        if self.problem:
            return "ModuleNotFoundError" in self.problem or "ImportError" in self.problem
        try:
            if (example := self.model.example) is not None:
                self.ask("golden", {"requests": [example]}, (), Asked(1, arrays=1))
        except (ModelError, ValueError) as error:
            return " raised " in str(error)
        return False

    def take_answers(self, rows: int) -> None:
        """Keep the answers to the batch of `rows` rows that was sent last."""
        frame = self.receive(asked=Asked(rows, arrays=1))
        if frame is None:
            return
        (answer,) = frame.arrays
        if answer.ndim > 2 or (answer.ndim == 2 and answer.dtype.kind not in "biuf"):
            self.problem = (
                "answers that cannot be scored; expected one value per row, or probabilities; "
                f"found values of shape {answer.shape[1:]}"
            )
        else:
            self.answers.append(answer)

    def predicted(self) -> Array:
        """All answers kept, one entry a row.

        Raises:
            ModelError: batches were answered in different shapes.
        """
        try:
            return np.concatenate(self.answers)
        except ValueError as error:
            raise ModelError(f"batches are answered in different shapes: {error}") from error
