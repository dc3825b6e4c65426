"""Rows that are asked alone: which, and how far their answers are apart."""

import math

import numpy as np
import pytest

from model_release.measurement.rows import row_differences, spread


@pytest.mark.parametrize(
    ("there", "asked", "chosen"),
    [
        (10, 4, [0, 3, 6, 9]),
        (3, 8, [0, 1, 2]),
        (5, 1, [0]),
        (5, 0, []),
        (0, 4, []),
    ],
)
def test_rows_are_spread_evenly_from_the_first_to_the_last(
    there: int, asked: int, chosen: list[int]
) -> None:
    numbers, text = spread([np.arange(there), np.arange(there).astype(str)], asked)
    assert numbers.tolist() == chosen
    assert text.tolist() == [str(each) for each in chosen]


def test_no_columns_have_no_rows() -> None:
    assert spread([], 4) == []


@pytest.mark.parametrize(
    ("alone", "together", "difference"),
    [
        (1.0, 1.0, 0.0),
        (1.0, 1.1, 0.0),
        (1.0, 1.25, 0.25),
        (100.0, 110.0, 0.0),
        (math.nan, math.nan, 0.0),
        (math.inf, math.inf, 0.0),
        (math.nan, 1.0, math.inf),
        (-math.inf, math.inf, math.inf),
    ],
)
def test_a_difference_counts_beyond_the_tolerance(
    alone: float, together: float, difference: float
) -> None:
    (found,) = row_differences(np.array([alone]), np.array([together]), rtol=0.1, atol=0.0)
    assert found == difference


def test_the_largest_difference_of_a_row_counts() -> None:
    alone = np.array([[1.0, 2.0], [3.0, 4.0]])
    together = np.array([[1.5, 4.0], [3.0, 4.0]])
    assert row_differences(alone, together, rtol=0.0, atol=0.5) == (2.0, 0.0)


def test_text_is_the_same_or_infinitely_far() -> None:
    alone, together = np.array(["a", "b"]), np.array(["a", "c"])
    assert row_differences(alone, together, rtol=1.0, atol=1.0) == (0.0, math.inf)


def test_another_shape_is_infinitely_far_in_every_row() -> None:
    found = row_differences(np.zeros((2, 1)), np.zeros(2), rtol=1.0, atol=1.0)
    assert found == (math.inf, math.inf)
