"""A model version that is measured, and its process; whatever fails becomes its `problem`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_release.gates.evidence import Claims, Load
from model_release.model_process.client import ModelError, ModelProcess
from model_release.model_process.frames import Array, Frame

START_SECONDS = 120.0
"""How long importing mlflow may take."""


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

    def receive(self, seconds: float | None = None) -> Frame | None:
        """The answer to what was sent last; None after a problem."""
        if self._process is None or self.problem:
            return None
        try:
            return self._process.receive(seconds or self._seconds)
        except ModelError as error:
            self.problem = str(error)
            return None

    def ask(self, command: str, header: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Frame:
        """Send a command and wait for its answer. A model that only raises may be asked again.

        Raises:
            ModelError: there is none.
        """
        if self._process is None or self.problem:
            raise ModelError(self.problem)
        try:
            self._process.send(command, header, arrays)
            return self._process.receive(self._seconds)
        except ModelError as error:
            if self._process.ended:
                self.problem = str(error)
            raise

    def load(self) -> None:
        """Begin to load the model, once mlflow is imported."""
        self.receive(START_SECONDS)
        self.send("load", {"path": str(self.model.path)})

    def loaded(self, seconds: float) -> Load:
        """What came of loading it, at most `seconds` from now."""
        frame = self.receive(seconds)
        if frame is None:
            return Load(problem=self.problem)
        try:
            return Load(frame.number("seconds"), int(frame.number("memory_bytes")))
        except ValueError as error:
            self.problem = f"the model's process answered nonsense: {error}"
            return Load(problem=self.problem)

    def may_lack_a_module(self) -> bool:
        """Whether a missing module may be why it does not load, or fails on its input example.

        For the example MLflow hides the cause, so any error may be a missing module.
        """
        if self.problem:
            return "ModuleNotFoundError" in self.problem or "ImportError" in self.problem
        try:
            if (example := self.model.example) is not None:
                self.ask("golden", {"requests": [example]})
        except (ModelError, ValueError) as error:
            return " raised " in str(error)
        return False

    def take_answers(self, rows: int) -> None:
        """Keep the answers to the batch of `rows` rows that was sent last."""
        frame = self.receive()
        if frame is None:
            return
        answer = frame.arrays[0] if len(frame.arrays) == 1 else None
        if answer is None or len(answer) != rows:
            self.problem = f"the model's process answered nonsense to {rows} rows"
        elif answer.ndim > 2 or (answer.ndim == 2 and answer.dtype.kind not in "biuf"):
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
