"""Saves one model of each kind, with what it answers: `python image_models.py FOLDER KIND…`.

Runs in the models' own environment, which the tests' need not be. Beside each model folder lies
`<kind>.json`: {"request", "predictions"} as MLflow's scoring protocol has them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression


class Scaled(mlflow.pyfunc.PythonModel):
    """Sums the columns and multiplies by a parameter."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        """The sum of each row, `factor` times."""
        del context
        return model_input.sum(axis=1).to_numpy() * (params or {"factor": 1.0})["factor"]


FEATURES, TARGET = load_iris(return_X_y=True, as_frame=True)
ROWS = FEATURES.iloc[[0, 60, 120]]
SPLIT = {"dataframe_split": ROWS.to_dict(orient="split", index=False)}


def save(kind: str, folder: Path) -> tuple[dict[str, Any], Any]:
    """Save a model of a kind; return a request and the answer to it."""
    options: dict[str, Any] = {"input_example": ROWS[:1], "pip_requirements": []}
    if kind == "params":
        schema = ParamSchema([ParamSpec("factor", "double", 1.0)])
        inputs = infer_signature(FEATURES).inputs
        signature = ModelSignature(inputs=inputs, params=schema)
        mlflow.pyfunc.save_model(folder, python_model=Scaled(), signature=signature, **options)
        return SPLIT | {"params": {"factor": 2.0}}, (ROWS.sum(axis=1) * 2.0).tolist()
    if kind == "xgboost":
        import xgboost

        trees = xgboost.XGBClassifier(n_estimators=5).fit(FEATURES, TARGET)
        mlflow.xgboost.save_model(trees, folder, model_format="json", **options)
        return SPLIT, trees.predict(ROWS).tolist()
    if kind == "tensor":
        data = FEATURES.to_numpy()
        model = LogisticRegression(max_iter=500).fit(data, TARGET)
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 4))]),
            outputs=Schema([TensorSpec(np.dtype("int64"), (-1,))]),
        )
        options["input_example"] = data[:1]
        mlflow.sklearn.save_model(model, folder, signature=signature, **options)
        return {"inputs": ROWS.to_numpy().tolist()}, model.predict(ROWS.to_numpy()).tolist()
    forest = RandomForestClassifier(10, random_state=0).fit(FEATURES, TARGET)
    written: dict[str, Any] = {
        "skops": {"skops_trusted_types": ["sklearn.tree._tree.Tree"]},
        "cloudpickle": {"serialization_format": "cloudpickle"},
    }[kind]
    mlflow.sklearn.save_model(forest, folder, **options, **written)
    return SPLIT, forest.predict(ROWS).tolist()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    for name in sys.argv[2:]:
        request, predictions = save(name, place / name)
        case = {"request": request, "predictions": predictions}
        (place / f"{name}.json").write_text(json.dumps(case))
