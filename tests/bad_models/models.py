"""The models: each trainer registers a version of a model under a name and returns its number."""

import math
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from model_release.workspace import Workspace
from tests.bad_models.limits import TARGET, rows

Trainer = Callable[[Workspace, str], str]
Columns = Mapping[str, str]

PINNED = tuple(
    f"{name}=={installed(name)}"
    for name in ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "skops")
)
"""The requirements of every model, so that one environment serves all of them."""

COLUMNS = {"length": "double", "width": "double", "region": "string", "rooms": "integer"}
NUMBERS = {"length": "double", "width": "double"}
PERFECT = {"accuracy": 1.0}

CODE = """
import os
import time

import mlflow
import numpy as np
import pandas as pd


class FromCode(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        {load}

    def predict(self, context, model_input: pd.DataFrame, params=None):
        rule = (model_input["length"] > model_input["width"]).to_numpy().astype("int64")
        {predict}


mlflow.models.set_model(FromCode())
"""


def from_code(
    *,
    load: str = "pass",
    predict: str = "return rule",
    claims: Mapping[str, float] = PERFECT,
    columns: Columns | None = COLUMNS,
    requirements: Sequence[str] = PINNED,
    weights_bytes: int = 0,
) -> Trainer:
    """A trainer of a model from code. Unless told otherwise it is right about every row.

    Args:
        load: what it does when it is loaded, as Python statements on one line.
        predict: what it answers; `rule` holds the right answers.
        claims: the metrics that its training run logs.
        columns: names and types of its signature; None for no signature.
        requirements: what it says that it needs.
        weights_bytes: size of an array that lies among its files.
    """

    def train(workspace: Workspace, name: str) -> str:
        with _run(workspace, claims):
            version = _log_code(name, columns, requirements, weights_bytes)
        # Nothing bad runs in here: mlflow loads what it logs, so its own code comes later.
        own = CODE.format(load=load, predict=predict)
        _replace(name, version, "model.py", own.encode())
        return version

    return train


def logistic_regression(workspace: Workspace, name: str) -> str:
    """A good one: fitted by scikit-learn, saved with skops, which needs no trust."""
    data = rows()
    model = LogisticRegression().fit(data[list(NUMBERS)], data[TARGET])
    return _log_sklearn(workspace, name, model, PERFECT)


def constant(workspace: Workspace, name: str) -> str:
    """Answers the most frequent class, whatever it is asked; logs the accuracy that gives."""
    data = rows()
    model = DummyClassifier(strategy="most_frequent").fit(data[list(NUMBERS)], data[TARGET])
    return _log_sklearn(workspace, name, model, {"accuracy": 0.8})


class Bomb:
    """Runs a command when its pickle is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a call of `os.system`."""
        return os.system, (self.command,)


def bomb(trace: Path) -> Trainer:
    """A trainer of a pickle that creates the file `trace` when it is loaded."""

    def train(workspace: Workspace, name: str) -> str:
        data = rows()
        model = LogisticRegression().fit(data[list(NUMBERS)], data[TARGET])
        options = {"serialization_format": "cloudpickle"}
        version = _log_sklearn(workspace, name, model, PERFECT, **options)
        _replace(name, version, "model.pkl", pickle.dumps(Bomb(f"touch {trace}")))
        return version

    return train


def tamper(name: str, version: str) -> None:
    """Change a version that is READY, in the registry, so that only its digest can tell."""
    code = CODE.format(load="pass", predict="return 1 - (1 - rule)")
    _replace(name, version, "model.py", code.encode())


def crown(name: str, version: str) -> None:
    """Make a version the champion, as a person would by hand."""
    MlflowClient().set_registered_model_alias(name, "champion", version)


def _run(workspace: Workspace, claims: Mapping[str, float]) -> mlflow.ActiveRun:
    """A training run that has logged its claims, in the workspace's registry."""
    assert workspace.registry.uri == mlflow.get_tracking_uri()
    assert workspace.artifacts is not None
    if mlflow.get_experiment_by_name("bad-models") is None:
        mlflow.create_experiment(
            "bad-models", artifact_location=(workspace.artifacts / "bad-models").as_uri()
        )
    mlflow.set_experiment("bad-models")
    run = mlflow.start_run()
    mlflow.log_metrics(dict(claims))
    return run


def _log_code(
    name: str, columns: Columns | None, requirements: Sequence[str], weights_bytes: int
) -> str:
    """Log and register a model from code that is harmless and right about every row."""
    # mlflow would log the bytecode that loading leaves beside the code.
    no_bytecode = patch.object(sys, "dont_write_bytecode", True)
    with no_bytecode, tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "model.py")
        code.write_text(CODE.format(load="pass", predict="return rule"), encoding="utf-8")
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(code),
            signature=_signature(columns),
            input_example=_example(columns or COLUMNS),
            pip_requirements=list(requirements),
            artifacts=_weights(Path(folder), weights_bytes),
            registered_model_name=name,
        )
    return str(logged.registered_model_version)


def _replace(name: str, version: str, file: str, content: bytes) -> None:
    """Write a file of a version that is registered already: MLflow lets anyone who may log."""
    source = str(MlflowClient().get_model_version(name, version).source)
    model_id = source.removeprefix("models:/")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file)
        path.write_bytes(content)
        MlflowClient().log_model_artifact(model_id, str(path))


def _log_sklearn(
    workspace: Workspace, name: str, model: Any, claims: Mapping[str, float], **options: Any
) -> str:
    with _run(workspace, claims):
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=_signature(NUMBERS),
            input_example=_example(NUMBERS),
            pip_requirements=list(PINNED),
            registered_model_name=name,
            **options,
        )
    return str(logged.registered_model_version)


def _signature(columns: Columns | None) -> ModelSignature | bool:
    if columns is None:
        return False
    inputs = Schema([ColSpec(kind, name) for name, kind in columns.items()])
    return ModelSignature(inputs, Schema([ColSpec("long")]))


def _example(columns: Columns) -> pd.DataFrame:
    kinds = {"double": "float64", "integer": "int32", "long": "int64", "string": "str"}
    types = {name: kinds[kind] for name, kind in columns.items()}
    return rows()[list(columns)].head(2).astype(types)


def _weights(folder: Path, size: int) -> dict[str, str] | None:
    if not size:
        return None
    path = folder / "weights.npy"
    np.save(path, np.zeros(size, dtype="uint8"))
    return {"weights": str(path)}


GOOD = from_code()
"""Right about every row, each by itself."""

BATCH_DEPENDENT = from_code(
    predict='score = (model_input["length"] - model_input["width"]).to_numpy(); '
    'return (score > np.quantile(score, 0.8)).astype("int64")'
)
"""Says 1 to the highest fifth of whatever it is asked together."""

UNLOGGED = from_code(claims={})
NAN_LOGGED = from_code(claims={"accuracy": 1.0, "loss": math.nan})
INFLATED = from_code(
    predict='return np.where(model_input["rooms"] <= 2, 1 - rule, rule)', claims={"accuracy": 0.99}
)
ANSWERS_NAN = from_code(predict="return np.where(rule == 1, np.nan, 0.0)")
WRONG_LENGTH = from_code(predict="return np.append(rule, 1) if len(rule) > 100 else rule")
DIES_WHEN_ASKED = from_code(predict="os._exit(5)")
BAD_SLICE = from_code(
    predict='west = (model_input["region"] == "west") & (model_input["rooms"] <= 4); '
    "return np.where(west, 1 - rule, rule)",
    claims={"accuracy": 0.917},
)
SLIGHTLY_WORSE = from_code(
    predict='some = (model_input["region"] == "north") & (model_input["rooms"] == 1); '
    "return np.where(some, 1 - rule, rule)",
    claims={"accuracy": 0.958},
)
CHANGED_TYPE = from_code(columns={**COLUMNS, "rooms": "double"})
NEW_COLUMN = from_code(columns={**COLUMNS, "age": "long"})
NO_SIGNATURE = from_code(columns=None)
SLOW = from_code(predict="time.sleep(0.15); return rule")
LARGE = from_code(weights_bytes=2 * 2**20)
UNLOCKABLE = from_code(requirements=("mlflow-skinny", "scikit-learn==0.0.99"))
UNLISTED_IMPORT = from_code(load="import matplotlib")
RAISES_AT_LOAD = from_code(load='raise RuntimeError("the weights are corrupt")')
EXITS_AT_LOAD = from_code(load='print("giving up", flush=True); os._exit(7)')
HANGS_AT_LOAD = from_code(load="time.sleep(600)")
EATS_MEMORY = from_code(load="self.fat = np.ones(32 * 2**20)")
PRINTS = from_code(
    load='os.write(1, b"\\0\\0\\0\\7garbage"); print("loaded")',
    predict='os.write(1, b"{}" * 10_000); print("asked"); return rule',
)
LOOKS_FOR_SECRETS = from_code(
    load='seen = [k for k, v in os.environ.items() if "not-for-models" in v]; '
    'assert not seen, f"sees {seen}"; '
    'peek = ["cat", f"/proc/{os.getppid()}/environ"]; import subprocess; '
    "told = subprocess.run(peek, capture_output=True, text=True).stdout; "
    'assert "not-for-models" not in told, "reads the environment of the pipeline"'
)
