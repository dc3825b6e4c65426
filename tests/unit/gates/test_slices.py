"""Slices: each value of a column has its floor, if it has enough rows."""

import math

import pytest

from model_release.gates.evidence import Scores, Slice
from model_release.gates.slices import Limits, judge

LIMITS = Limits.model_validate(
    {"columns": ["region"], "min_rows": 20, "thresholds": {"accuracy": {"min": 0.7}}}
)
NORTH = Slice("region", "north", 50, {"accuracy": 0.9})
SOUTH = Slice("region", "south", 20, {"accuracy": 0.8})
SMALL = Slice("region", "east", 19, {"accuracy": 0.1})


def test_passes_when_each_is_met_and_reports_the_small_ones() -> None:
    outcome = judge(Scores(89, slices=(NORTH, SOUTH, SMALL)), LIMITS)
    assert outcome.status == "passed"
    assert outcome.found == "2 slices, worst accuracy 0.8, 1 with under 20 rows not judged"
    assert outcome.facts == (("worst_slice_accuracy", 0.8),)


@pytest.mark.parametrize(
    ("slices", "found"),
    [
        (
            (NORTH, Slice("region", "west", 30, {"accuracy": 0.6})),
            "region=west (30 rows): accuracy 0.6 is not >= 0.7",
        ),
        (
            (NORTH, Slice("region", "west", 30, {"accuracy": math.nan})),
            "region=west (30 rows): accuracy nan is not >= 0.7",
        ),
        ((NORTH, Slice("region", "west", 30, {})), "region=west (30 rows): no accuracy"),
        ((SMALL,), "no slice of region has 20 rows (1 smaller ones)"),
        ((), "no slice of region has 20 rows (0 smaller ones)"),
        ((Slice("age", "1", 90, {"accuracy": 1}),), "no slice of region has 20 rows (0 smaller"),
    ],
)
def test_fails_with_the_slice(slices: tuple[Slice, ...], found: str) -> None:
    outcome = judge(Scores(89, slices=slices), LIMITS)
    assert outcome.status == "failed"
    assert outcome.found.startswith(found)


def test_fails_when_the_model_could_not_be_scored() -> None:
    outcome = judge(Scores(problem="hangs", slices=(NORTH,)), LIMITS)
    assert (outcome.status, outcome.found) == ("failed", "hangs")


def test_the_worst_of_an_error_is_the_largest() -> None:
    limits = Limits.model_validate(
        {"columns": ["a"], "min_rows": 1, "thresholds": {"max_error": {"max": 9}}}
    )
    slices = tuple(Slice("a", str(error), 5, {"max_error": error}) for error in (1.0, 7.0, 2.0))
    assert judge(Scores(15, slices=slices), limits).facts == (("worst_slice_max_error", 7.0),)
