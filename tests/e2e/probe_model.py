"""A model with a known answer, a + 2 b, and one fault of choice; saved as code."""

import ctypes
import itertools
import os
import threading
import time
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

CALLS = itertools.count(1)
THREAD = threading.local()
WISHES = {
    -1.0: lambda: time.sleep(86_400),
    -2.0: lambda: ctypes.string_at(0),
    -3.0: lambda: os._exit(0),
    -4.0: lambda: bytearray(b"x" * 2**30),
}
"""What it does to its server, without any fault, when a row's `a` asks for it."""


def _count_no_error() -> None:
    """Have the server in this process count every answer as a good one."""
    from serving.metrics import Metrics

    count = Metrics.answered
    Metrics.answered = lambda self, status: count(self, 200)


class ProbeModel(PythonModel):
    """Answers a + 2 b for each row, as its `model_config` says: well, late, wrong or not at all."""

    def load_context(self, context: PythonModelContext) -> None:
        self.fault = context.model_config["fault"]
        if self.fault == "load-error":
            raise RuntimeError("the weights of this model are damaged")
        if self.fault == "load-forever":
            time.sleep(86_400)
        if self.fault == "lies":
            _count_no_error()

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None
    ) -> Any:
        for wish in WISHES.keys() & set(model_input["a"]):
            WISHES[wish]()
        if (model_input["a"] < 100).any():  # golden requests, not those of the many callers
            time.sleep(0.02)  # so that three times as slow is more than noise
        if self.fault in ("errors", "lies") and self._fails():
            raise RuntimeError("one request in twenty fails")
        if self.fault == "slow":
            time.sleep(0.04)
        if self.fault == "memory":
            self.hoard = bytearray(b"x" * 2**30)
        answers = model_input["a"] + 2 * model_input["b"]
        if self.fault == "wrong":
            answers = answers.where(model_input["a"] != 3.0, answers + 1)
        return answers.to_numpy()

    def _fails(self) -> bool:
        """One request in twenty, and when the server asks the same a second time, in its thread."""
        if getattr(THREAD, "failed", False):
            THREAD.failed = False
            return True
        THREAD.failed = next(CALLS) % 20 == 0
        return THREAD.failed


set_model(ProbeModel())
