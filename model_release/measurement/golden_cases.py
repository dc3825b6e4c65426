"""Golden cases: requests of MLflow's scoring protocol, with the answers of the measured model."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_release.gates.evidence import Golden
from model_release.measurement.subject import Subject
from model_release.model_process.client import ModelError
from model_release.model_process.frames import Array, Asked


def ask_golden(subject: Subject, columns: Sequence[str], rows: Sequence[Array]) -> Golden:
    """Ask the model's own input example, and these rows, over MLflow's scoring protocol."""
    requests: dict[str, Any] = {}
    try:
        if (example := subject.model.example) is not None:
            requests["input example"] = example
        if rows:
            requests["holdout"] = _scoring_request(columns, rows)
        header, asked = {"requests": list(requests.values())}, Asked(len(requests), arrays=1)
        _, frame = subject.ask("golden", header, (), asked)
        answers = dict(zip(requests, frame.arrays[0].tolist(), strict=True))
    except (ModelError, ValueError) as error:
        return Golden((), problem=str(error))
    return Golden(
        tuple(
            {"name": name, "request": request, "predictions": answers[name]}
            for name, request in requests.items()
        )
    )


def _scoring_request(names: Sequence[str], columns: Sequence[Array]) -> dict[str, Any]:
    """These rows as a request of MLflow's scoring protocol (`dataframe_split`); a gap is null."""
    plain = [[_json_value(value) for value in _values(column)] for column in columns]
    data = [list(row) for row in zip(*plain, strict=True)]
    return {"dataframe_split": {"columns": list(names), "data": data}}


def _values(column: Array) -> list[Any]:
    if column.dtype.kind == "M":
        return [None if text == "NaT" else text for text in np.datetime_as_string(column).tolist()]
    values: list[Any] = column.tolist()
    return values


def _json_value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if isinstance(value, float) and not math.isfinite(value) else value
