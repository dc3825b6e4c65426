"""Comparison of answers, and the requests derived from golden ones."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_release.answers import Tolerances, first_difference, single_row, without_columns

EXACT = Tolerances(rtol=0, atol=0)
LOOSE = Tolerances(rtol=0.01, atol=0.5)
NAN = float("nan")
INFINITY = float("inf")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(JSON)
def test_a_value_agrees_with_itself(value: object) -> None:
    assert first_difference(value, value, EXACT) == ""


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        ([1, 2], [1, 3], "predictions[1]: 3 in place of 2"),
        ([1, 2], [1], "predictions: [1] in place of [1, 2]"),
        ([], None, "predictions: None in place of []"),
        ([{"a": 1, "b": [2]}], [{"a": 1, "b": [9]}], "predictions[0].b[0]: 9 in place of 2"),
        ({"a": 1}, {"b": 1}, "predictions: {'b': 1} in place of {'a': 1}"),
        ("yes", "no", "predictions: 'no' in place of 'yes'"),
        (1, True, "predictions: True in place of 1"),
        (False, 0, "predictions: 0 in place of False"),
        (1, "1", "predictions: '1' in place of 1"),
        (1.0, NAN, "predictions: nan in place of 1.0"),
        (NAN, 1.0, "predictions: 1.0 in place of nan"),
        (INFINITY, 1.0, "predictions: 1.0 in place of inf"),
        (1.0, INFINITY, "predictions: inf in place of 1.0"),
        (1.0, 10**400, f"predictions: 1{'0' * 59}… in place of 1.0"),
        (INFINITY, -INFINITY, "predictions: -inf in place of inf"),
        (None, 0, "predictions: 0 in place of None"),
        ("", "x" * 70, f"predictions: '{'x' * 59}… in place of ''"),
    ],
)
def test_differences_are_named(wanted: object, found: object, said: str) -> None:
    assert first_difference(wanted, found, EXACT) == said
    assert first_difference(wanted, found, Tolerances(rtol=1e-3, atol=1e-3)) == said


@pytest.mark.parametrize(
    ("wanted", "found", "same"),
    [
        (100, 101.5, True),
        (100, 101.6, False),
        (0.0, -0.5, True),
        (0.0, 0.51, False),
        (1, 1.0, True),
    ],
)
def test_numbers_within_the_tolerances_agree(wanted: float, found: float, same: bool) -> None:
    assert (first_difference([wanted], [found], LOOSE) == "") is same


@pytest.mark.parametrize(
    ("request_", "derived"),
    [
        ({"dataframe_records": [{"a": 1}]}, {"dataframe_records": [{"no such column": 0}]}),
        (
            {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}, "params": {"p": 1}},
            {"dataframe_split": {"columns": ["no such column"], "data": [[0]]}, "params": {"p": 1}},
        ),
        ({"dataframe_split": {"data": [[1, 2]]}}, None),
        ({"inputs": [[1, 2]]}, None),
        ("text", None),
    ],
)
def test_without_columns(request_: object, derived: object) -> None:
    assert without_columns(request_) == derived


@pytest.mark.parametrize(
    ("request_", "derived"),
    [
        ({"dataframe_records": [{"a": 1}, {"a": 2}]}, {"dataframe_records": [{"a": 1}]}),
        ({"inputs": [[1], [2]], "params": {}}, {"inputs": [[1]], "params": {}}),
        ({"inputs": {"a": [1, 2]}}, {"inputs": {"a": [1, 2]}}),
        (
            {"dataframe_split": {"columns": ["a"], "index": [0, 1], "data": [[1], [2]]}},
            {"dataframe_split": {"columns": ["a"], "index": [0], "data": [[1]]}},
        ),
        ("text", "text"),
    ],
)
def test_single_row(request_: Any, derived: object) -> None:
    assert single_row(request_) == derived
