"""A model (from code) that answers how many rows it got, or does to its server what a row says."""

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

import mlflow


def _sleep_for_ever() -> None:
    while True:
        time.sleep(3600)


def _loop_for_ever() -> None:
    while True:
        pass


def _hold_the_interpreter() -> None:
    """Nothing else of Python runs: `PyDLL` calls C without letting go of the interpreter's lock."""
    ctypes.PyDLL(None).pause()


def _leave_a_thread() -> None:
    threading.Thread(target=_sleep_for_ever).start()


REACTIONS = {
    "sleep": _sleep_for_ever,
    "loop": _loop_for_ever,
    "hold": _hold_the_interpreter,
    "thread": _leave_a_thread,
    "sys.exit": lambda: sys.exit("the model says goodbye"),
    "os._exit": lambda: os._exit(0),
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "memory": lambda: bytearray(2**62),
}


class Misbehaving(mlflow.pyfunc.PythonModel):
    """Answers the rows of a request, each with its number."""

    def predict(self, context, model_input, params=None):  # noqa: ANN001, ANN201
        """See the class; without types, which MLflow would read as a signature."""
        for text in model_input["do"]:
            name, _, folder = text.partition(" ")
            if folder:
                (Path(folder) / "begun").touch()
            if name in REACTIONS:
                REACTIONS[name]()
        return list(model_input["do"])


mlflow.models.set_model(Misbehaving())
