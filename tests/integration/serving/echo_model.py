"""A model (from code) whose answer shows exactly what reached it: types, dtypes, order, params.

A few values make it misbehave, so that one model serves all tests: see `_react`.
"""

import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException


class Echo(mlflow.pyfunc.PythonModel):
    """Answers one string a row."""

    def predict(self, context, model_input, params=None):  # noqa: ANN001, ANN201
        """See the class; without types, which MLflow would read as a signature."""
        if isinstance(model_input, pd.DataFrame):
            _react(model_input)
            if "total" in model_input:
                return float(model_input["total"].sum())
            if "proba" in model_input:
                proba = model_input["proba"]
                return pd.DataFrame({"p": proba, "odd": proba % 2 == 1})
            header = [f"{name}:{kind}" for name, kind in model_input.dtypes.items()]
            rows = model_input.itertuples(index=False, name=None)
            return [f"{header} {[repr(value) for value in row]} {params}" for row in rows]
        if isinstance(model_input, np.ndarray):
            shape = model_input.shape[1:]
            return np.array([f"{model_input.dtype} {shape} {row.tolist()}" for row in model_input])
        return [repr(model_input)]


def _react(frame: pd.DataFrame) -> None:
    if "hold" in frame:
        _hold(frame)
    values = frame.iloc[:, 0].tolist()
    if 666.0 in values:
        raise ValueError(f"the model's own words about {values}, which nobody may read")
    if 667.0 in values:
        raise MlflowException("the model refuses 667")
    if 668.0 in values:
        raise SystemExit("a model that wants to end the process")


def _hold(frame: pd.DataFrame) -> None:
    """Be busy until the test lets go: each folder gets a file `begun` and is waited for `go` in."""
    for folder in map(Path, filter(None, frame["hold"])):
        (folder / "begun").touch()
        give_up = time.monotonic() + 300
        while not (folder / "go").exists() and time.monotonic() < give_up:
            time.sleep(0.005)


mlflow.models.set_model(Echo())
