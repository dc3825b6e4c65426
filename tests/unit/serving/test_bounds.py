"""Which bodies are too much, by the signature and the settings."""

import json
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import Array

from serving.bounds import Bounds
from serving.settings import Settings

SETTINGS = Settings(columns=4, cells=1000)
ABC = Schema([ColSpec("double", name) for name in "abc"])
FIVE = Schema([ColSpec("double", name) for name in "abcde"])
NESTED = Schema([ColSpec(Array("string"), "a"), ColSpec("string", "b")])
TENSOR = Schema([TensorSpec(np.dtype("float32"), (-1, 6))])
TENSORS = Schema([TensorSpec(np.dtype("str"), (-1,), "t")])


def read(schema: Schema | None, body: Any, kind: str = "application/json", **more: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return Bounds(schema, SETTINGS, **more).read(raw, kind)


def split(columns: Any, data: Any) -> Any:
    return {"dataframe_split": {"columns": columns, "data": data}}


def table(rows: int, columns: int) -> Any:
    return split(list("abcdef"[:columns]), [[0] * columns] * rows)


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (None, table(2, 4)),
        (FIVE, table(2, 5)),
        (TENSOR, table(2, 6)),
        (None, {"dataframe_records": [{"a": 1}] * 3}),
        (None, {"inputs": dict.fromkeys("abcdef", 1)}),
        (ABC, {"inputs": [[1, 2, 3]] * 2}),
        (TENSOR, {"inputs": [[1, 2, 3, 4, 5, 6]] * 2}),
        (NESTED, {"inputs": {"a": ["x"] * 40, "b": "y"}}),
        (NESTED, {"dataframe_records": [{"a": ["one", "two"], "b": "long " * 30}]}),
        (None, {"inputs": ["text"] * 30}),
        (None, {"messages": [{"role": "user", "content": "word " * 500}]}),
        (ABC, {"messages": [], "params": {"temperature": 1}}),
    ],
)
def test_what_fits_is_decoded_for_mlflow(schema: Schema | None, body: Any) -> None:
    assert read(schema, body) == body


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b"[" * 120, b'{"a":' + b"9" * 5000])
def test_what_is_no_object_is_left_to_mlflow(body: bytes) -> None:
    assert read(None, body) == body


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/csv", b"a,b\n1,2\n"), ("text/csv;charset=utf-8", b""), ("text/plain", b"," * 900)],
)
def test_other_types_are_handed_on(kind: str, body: bytes) -> None:
    assert read(None, body, kind) == body


COLUMNS, CELLS = "(SERVING_MAX_COLUMNS)", "(SERVING_MAX_CELLS)"
LONG = ["x" * 600, *"y" * 20]


@pytest.mark.parametrize(
    ("schema", "body", "setting"),
    [
        (None, table(1, 5), COLUMNS),
        (FIVE, table(1, 6), COLUMNS),
        (None, {"dataframe_records": [{name: 1} for name in "abcde"]}, COLUMNS),
        (ABC, {"inputs": dict.fromkeys("abcde", 1)}, COLUMNS),
        (ABC, {"inputs": [{name: 1} for name in "abcde"]}, COLUMNS),
        (ABC, {"instances": [{name: 1} for name in "abcde"]}, COLUMNS),
        (ABC, {"inputs": [[1, 2, 3, 4, 5]]}, COLUMNS),
        (TENSORS, {"inputs": dict.fromkeys("abcde", 1)}, COLUMNS),
        (ABC, {"messages": 1, **dict.fromkeys("abcd", 1)}, COLUMNS),
        (
            None,
            {"dataframe_split": {"index": [0] * 300, "columns": list("abcd"), "data": 0}},
            CELLS,
        ),
        (None, split(["a"], [[0] * 4] + [0] * 300), CELLS),
        (ABC, {"inputs": {"a": [0] * 400, "b": 1, "c": 1}}, CELLS),
        (None, {"inputs": [[]] * 130}, "lists and objects"),
        (None, {"inputs": [{}] * 70}, "lists and objects"),
        (None, {"inputs": LONG}, "texts"),
        (None, {"instances": [{"a": each} for each in LONG[:15]]}, "(SERVING_MAX_CELLS)"),
        (ABC, {"inputs": {"a": LONG}}, "texts"),
        (NESTED, {"dataframe_records": [{"a": LONG}]}, "texts"),
        (NESTED, split(["a"], [[LONG]]), "texts"),
        (TENSORS, {"dataframe_split": {"data": {"t": LONG}}}, "texts"),
    ],
)
def test_what_would_be_too_much_is_refused(schema: Schema | None, body: Any, setting: str) -> None:
    with pytest.raises(MlflowException, match=r"^Invalid input\. The body has ") as refused:
        read(schema, body)
    assert setting in refused.value.message
    assert refused.value.get_http_status_code() == 400


def test_a_csv_is_refused_alike() -> None:
    with pytest.raises(MlflowException, match="has 5 columns; 4 are allowed"):
        read(None, b"a,b\n" + b"," * 4, "text/csv")
    with pytest.raises(
        MlflowException, match="has 300 rows of 4 columns, which are 1200 cells; 1000"
    ):
        read(None, b"a,b,c,d\n" + b"1\n" * 299 + b"1", "text/csv; charset=utf-8")


def test_texts_of_a_csv_for_a_tensor() -> None:
    body = b"t\n" + b"x" * 600 + b"\n" + b"y\n" * 20
    assert read(ABC, body, "text/csv") == body
    with pytest.raises(MlflowException, match="texts that count as 1650 cells"):
        read(TENSORS, body, "text/csv")


def test_a_signature_of_type_hints_is_no_table() -> None:
    body = {"inputs": [{name: 1} for name in "abcde"]}
    assert read(ABC, body, hinted=True) == body
