"""Train and save the models of these tests as context folders: `python build_models.py FOLDER`.

A process of its own: what MLflow warns about while saving is no concern of the tests.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

HERE = Path(__file__).parent
KINDS = ("double", "long", "integer", "float", "boolean", "string")


def _context(folder: Path, *, batching: bool = True) -> str:
    folder.mkdir(parents=True)
    release = {
        "model": folder.name,
        "version": "7",
        "digest": "sha256:" + "0" * 64,
        "release": f"release-of-{folder.name}",
        "batching": batching,
    }
    (folder / "release.json").write_text(json.dumps(release))
    return str(folder / "model")


def _columns(*columns: tuple[str, str]) -> ModelSignature:
    return ModelSignature(inputs=Schema([ColSpec(kind, name) for kind, name in columns]))


def _sklearn(root: Path) -> None:
    features, target = load_iris(return_X_y=True, as_frame=True)
    models = {
        "logistic": (LogisticRegression(max_iter=500), features, {}),
        "forest": (
            RandomForestClassifier(10, max_depth=5, random_state=42),
            features,
            {"skops_trusted_types": ["sklearn.tree._tree.Tree"]},
        ),
        "pickled": (
            RandomForestClassifier(10, max_depth=5, random_state=42),
            features,
            {"serialization_format": "cloudpickle"},
        ),
        "linear-tensor": (LinearRegression(), features.to_numpy(), {}),
    }
    for name, (model, data, options) in models.items():
        model.fit(data, target)
        mlflow.sklearn.save_model(
            model,
            _context(root / name),
            input_example=data[:1],
            signature=infer_signature(data, model.predict(data)),
            pip_requirements=["scikit-learn"],
            **options,
        )


def _echo(folder: Path, signature: ModelSignature | None, **options: Any) -> None:
    batching = options.pop("batching", True)
    mlflow.pyfunc.save_model(
        _context(folder, batching=batching),
        python_model=str(HERE / options.pop("code", "echo_model.py")),
        signature=signature,
        pip_requirements=["mlflow"],
        **options,
    )


def build(root: Path) -> None:
    """Save every model below `root`."""
    _sklearn(root)
    doubles = _columns(("double", "a"), ("double", "b"), ("double", "c"))
    params = ParamSchema([ParamSpec("scale", "double", 1.0), ParamSpec("tag", "string", "none")])
    mixed = ModelSignature(
        inputs=Schema([ColSpec(kind, f"{kind} column") for kind in KINDS]), params=params
    )
    optional = ModelSignature(
        inputs=Schema([ColSpec("double", "a"), ColSpec("double", "b", required=False)])
    )
    tensor = TensorSpec(np.dtype("float32"), (-1, 2, 2))
    named = [
        TensorSpec(np.dtype("float64"), (-1, 2), "x"),
        TensorSpec(np.dtype("int64"), (-1,), "n"),
    ]
    example = pd.DataFrame({"a": [1.5], "b": [2.5], "c": [3.5]})
    _echo(root / "doubles", doubles, input_example=example)
    _echo(root / "alone", doubles, batching=False)
    _echo(root / "mixed", mixed)
    _echo(root / "optional", optional)
    _echo(root / "dates", _columns(("datetime", "when"), ("binary", "raw")))
    _echo(root / "unnamed", ModelSignature(inputs=Schema([ColSpec("double"), ColSpec("long")])))
    _echo(root / "tensor", ModelSignature(inputs=Schema([tensor])))
    _echo(root / "named-tensors", ModelSignature(inputs=Schema(named)))
    _echo(root / "unsigned", None)
    _echo(root / "table", _columns(("double", "proba")))
    _echo(root / "total", _columns(("double", "total")))
    _echo(root / "held", _columns(("string", "hold"), ("double", "value")))
    _echo(root / "unwritable", doubles, code="unwritable_model.py")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
