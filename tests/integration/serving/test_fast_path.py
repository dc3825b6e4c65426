"""What a plan reads is, bit by bit, what MLflow's parsing and enforcement would hand the model."""

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from serving.inputs import Parsed, plan_for

pytestmark = [
    pytest.mark.xdist_group("serving-paths"),
    pytest.mark.filterwarnings("ignore:overflow encountered in cast"),  # float32, as in MLflow
]
KINDS = ("double", "long", "integer", "float", "boolean", "string")
DOUBLES = Schema([ColSpec("double", name) for name in "abc"])
MIXED = Schema([ColSpec(kind, kind) for kind in KINDS])
TENSOR = Schema([TensorSpec(np.dtype("float32"), (-1, 2, 2))])
HYPOTHESIS = settings(max_examples=100, deadline=None, database=None)


def enforced(schema: Schema, body: bytes) -> Any:
    """MLflow's own input for the model, or None where it refuses the body."""
    data = json.loads(body)
    try:
        return _enforce_schema(scoring_server.infer_and_parse_data(data, schema), schema)
    except Exception:  # noqa: BLE001  whatever it is, MLflow refuses
        return None


def fast(schema: Schema, body: bytes) -> tuple[Any, Parsed | None]:
    plan = plan_for(schema)
    assert plan is not None
    parsed = plan.parse(body)
    return (None if parsed is None else plan.merge([parsed])), parsed


def assert_identical(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(theirs, pd.DataFrame):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
        ours, theirs = ours.to_numpy(), theirs.to_numpy()
        assert ours.flags.f_contiguous == theirs.flags.f_contiguous
    if ours.dtype.kind == "f":
        assert ours.tobytes("C") == theirs.tobytes("C") or np.isnan(theirs).any()
        assert np.array_equal(np.signbit(ours), np.signbit(theirs)) or np.isnan(theirs).any()
    assert ours.dtype == theirs.dtype
    assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f") or ours.dtype == object


def split(columns: Iterable[str], rows: list[Any]) -> bytes:
    return json.dumps({"dataframe_split": {"columns": list(columns), "data": rows}}).encode()


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (DOUBLES, split("abc", [[1.5, 2, 3.5]])),
        (DOUBLES, split("abc", [[1.5, None, 3.5], [1, 2, None]])),
        (DOUBLES, split("abc", [[True, False, 2], [0.1, 5e-324, 2**63]])),
        (DOUBLES, split("cab", [[1.5, 2, 3.5], [4, 5, 6]])),
        (
            DOUBLES,
            b'{"dataframe_records": [{"c": 1, "b": -0.0, "a": 3}, {"a": 1, "b": 2, "c": 3}]}',
        ),
        (
            DOUBLES,
            b'{"dataframe_split": {"index":[0],"columns":["a","b","c"],"data":[[1,-0,NaN]]}}',
        ),
        (MIXED, split(KINDS, [[1, 2**62, -(2**31), 1e300, True, "five"], [2, 2, 2, 2, False, ""]])),
        (MIXED, split(KINDS[::-1], [["é", True, 16777217, 2**31, 0, 1.5]])),
        (TENSOR, b'{"inputs": [[[1, 2.5], ["3", true]]]}'),
        (TENSOR, b'{"instances": [[[1, 2.5], [3, 4]], [[1e300, 0.1], [-0.0, 4]]]}'),
    ],
)
def test_common_bodies_take_the_fast_path(schema: Schema, body: bytes) -> None:
    ours, parsed = fast(schema, body)
    assert parsed is not None
    assert_identical(ours, enforced(schema, body))


@pytest.mark.parametrize(
    "body",
    [
        split("abc", [["1.5", 2, 3]]),
        split("abc", [[10**400, 2, 3]]),
        split("ab", [[1, 2]]),
        split("abcd", [[1, 2, 3, 4]]),
        split("abb", [[1, 2, 3]]),
        split("abc", []),
        split("abc", [[[1], [2], [3]]]),
        b'{"dataframe_split": {"columns": ["a","b","c"], "data": [[1,2,3]]}, "params": {}}',
        b'{"dataframe_split": {"columns": ["a","b","c"], "data": [[1,2,3]], "index": [5]}}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_not_certain_is_left_to_mlflow(body: bytes) -> None:
    assert fast(DOUBLES, body) == (None, None)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        Schema([ColSpec("double")]),
        Schema([ColSpec("datetime", "a")]),
        Schema([ColSpec("binary", "a"), ColSpec("double", "b")]),
        Schema([TensorSpec(np.dtype("float64"), (-1, -1))]),
        Schema([TensorSpec(np.dtype("float64"), (-1,))]),
        Schema([TensorSpec(np.dtype("float64"), (2, 2))]),
        Schema([TensorSpec(np.dtype("float64"), (-1, 2), "named")]),
        Schema([TensorSpec(np.dtype("str"), (-1, 2))]),
    ],
)
def test_other_signatures_have_no_plan(schema: Schema | None) -> None:
    assert plan_for(schema) is None


NUMBERS = st.floats() | st.integers(-(2**70), 2**70)
ANYTHING = NUMBERS | st.none() | st.booleans() | st.text(max_size=3)
BY_KIND = {
    DataType.double: NUMBERS | st.none() | st.booleans(),
    DataType.long: st.integers(-(2**64), 2**64),
    DataType.integer: st.integers(-(2**40), 2**40),
    DataType.float: NUMBERS,
    DataType.boolean: st.booleans(),
    DataType.string: st.text(max_size=3),
}


def rows_of(schema: Schema) -> st.SearchStrategy[list[Any]]:
    """Rows that mostly fit the schema, with something else here and there."""
    cells = [BY_KIND[kind] for kind in schema.input_types()]
    odd = st.tuples(*[cell | ANYTHING for cell in cells])
    return st.lists(st.tuples(*cells) | odd, min_size=1, max_size=4).map(
        lambda rows: [list(row) for row in rows]
    )


@HYPOTHESIS
@given(rows=rows_of(DOUBLES), columns=st.permutations("abc"))
def test_generated_doubles(rows: list[Any], columns: list[str]) -> None:
    body = split(columns, rows)
    ours, parsed = fast(DOUBLES, body)
    if parsed is not None:
        assert_identical(ours, enforced(DOUBLES, body))


@HYPOTHESIS
@given(rows=rows_of(MIXED))
def test_generated_columns(rows: list[Any]) -> None:
    body = split(KINDS, rows)
    ours, parsed = fast(MIXED, body)
    if parsed is not None:
        assert_identical(ours, enforced(MIXED, body))


@HYPOTHESIS
@given(pairs=st.lists(st.lists(st.lists(ANYTHING, min_size=2, max_size=2), min_size=2, max_size=2)))
def test_generated_tensors(pairs: list[Any]) -> None:
    body = json.dumps({"inputs": pairs}).encode()
    ours, parsed = fast(TENSOR, body)
    if parsed is not None:
        assert_identical(ours, enforced(TENSOR, body))


@HYPOTHESIS
@given(requests=st.lists(rows_of(MIXED), min_size=1, max_size=5))
def test_merged_requests_hold_each_its_own_rows(requests: list[list[Any]]) -> None:
    plan = plan_for(MIXED)
    assert plan is not None
    parsed = [each for each in (plan.parse(split(KINDS, rows)) for rows in requests) if each]
    if not parsed:
        return
    merged = plan.merge(parsed)
    start = 0
    for each in parsed:
        alone = plan.merge([each])
        part = merged.iloc[start : start + each.rows].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, alone, check_exact=True)
        start += each.rows
    assert start == len(merged)


@HYPOTHESIS
@given(numbers=st.lists(st.floats() | st.integers(-(2**53), 2**53), min_size=3, max_size=3))
def test_plain_numbers_are_never_declined(numbers: list[Any]) -> None:
    _, parsed = fast(DOUBLES, split("abc", [numbers]))
    assert parsed is not None
    assert all(
        float(a) == b or math.isnan(b)
        for a, b in zip(numbers, parsed.values[0].tolist(), strict=True)
    )
