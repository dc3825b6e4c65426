"""Columns of labels: counted and numbered as Python compares them, and searched for gaps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_release.errors import UsageError
from model_release.metrics import labels
from model_release.metrics.labels import as_answers, count_rows, encode_labels, has_gaps


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), min_size=1))
def test_distinct_rows_are_counted(rows: list[tuple[int, str]]) -> None:
    numbers, letters = (np.array(column) for column in zip(*rows, strict=True))
    (first, second), counts = count_rows(numbers, letters)
    found = zip(first.tolist(), second.tolist(), counts.tolist(), strict=True)
    assert {(a, b): n for a, b, n in found} == {row: rows.count(row) for row in rows}
    assert (first.dtype, counts.dtype) == (numbers.dtype, np.float64)


def test_rows_are_counted_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "CHUNK", 2)
    (distinct,), counts = count_rows(np.array([1, 2, 1, 1, 3]))
    assert (distinct.tolist(), counts.tolist()) == ([1, 2, 3], [3.0, 1.0, 1.0])


def test_one_and_true_are_one_class() -> None:
    _, counts = count_rows(np.array([1, 1.0, True, "1"], dtype=object))
    assert counts.tolist() == [3.0, 1.0]


def test_text_in_a_column_of_objects_becomes_a_column_of_text() -> None:
    (text,), _ = count_rows(np.array(["a", "b"], dtype=object))
    (both,), _ = count_rows(np.array(["a", 1], dtype=object))
    assert (text.dtype.kind, both.dtype.kind) == ("U", "O")


def test_the_same_label_is_the_same_number_in_each_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "CHUNK", 2)
    (truth, predicted), positive, classes = encode_labels(
        np.array(["b", "a", "b"]), np.array(["a", "c", "b"])
    )
    assert (truth.tolist(), predicted.tolist()) == ([0, 1, 0], [1, 2, 0])
    assert (positive, classes) == (None, 3)


@pytest.mark.parametrize(
    ("values", "positive"),
    [([0, 1], 1), ([1, 0], 0), ([1], 0), ([0], None), ([0, 1, 2], None), ([True, False], 0)],
)
def test_one_is_the_positive_class_of_two(values: list[int], positive: int | None) -> None:
    assert encode_labels(np.array(values))[1] == positive


@pytest.mark.parametrize(
    ("values", "gaps"),
    [
        (np.array([1.0, 2.0]), False),
        (np.array([1.0, math.nan]), True),
        (np.array([1.0, -math.inf]), True),
        (np.array([1, 2]), False),
        (np.array(["a", ""]), False),
        (np.array(["a", None], dtype=object), True),
        (np.array([["a"], [math.nan]], dtype=object), True),
    ],
)
def test_gaps(values: np.ndarray, gaps: bool) -> None:
    assert has_gaps(values) is gaps


def test_answers_are_one_a_row() -> None:
    truth = np.array(["b", "a", "b"])
    column = np.array([["a"], ["b"], ["b"]])
    assert as_answers("classification", truth, column[:, 0]).tolist() == ["a", "b", "b"]
    assert as_answers("classification", truth, column).tolist() == ["a", "b", "b"]
    likely = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    assert as_answers("classification", truth, likely).tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("task", "shape"),
    [("classification", (3, 3)), ("regression", (3, 2)), ("regression", (3, 1, 1))],
)
def test_other_shapes_are_no_answers(task: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"one probability for each of 2 classes"):
        as_answers(task, np.array([0, 1, 1]), np.zeros(shape))
