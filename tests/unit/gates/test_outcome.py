"""Thresholds and outcomes: what is no number meets no bound."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from model_release.gates.outcome import MetricThresholds, Outcome, Threshold, listed, misses

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(value=finite, bound=finite)
def test_a_threshold_is_a_comparison(value: float, bound: float) -> None:
    assert Threshold(min=bound).admits(value) == (value >= bound)
    assert Threshold(max=bound).admits(value) == (value <= bound)


@given(bound=finite, value=st.sampled_from([math.nan, math.inf, -math.inf]))
def test_nan_and_infinity_meet_no_threshold(bound: float, value: float) -> None:
    threshold = {"loss": Threshold(min=bound)}, {"loss": Threshold(max=bound)}
    assert all(misses(each, {"loss": value}) for each in threshold)


@given(value=finite, bounds=st.tuples(finite, finite).map(lambda pair: (min(pair), max(pair))))
def test_what_meets_a_bound_meets_a_looser_one(value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    assert Threshold(min=low).admits(value) or not Threshold(min=high).admits(value)
    assert Threshold(max=high).admits(value) or not Threshold(max=low).admits(value)
    between = Threshold(min=low, max=high)
    assert between.admits(value) == (low <= value <= high)


def test_misses_say_what_was_found() -> None:
    thresholds = {
        "accuracy": Threshold(min=0.9),
        "r2": Threshold(min=0.1, max=0.99),
        "loss": Threshold(max=0.3),
        "f1": Threshold(min=0.5),
    }
    assert listed(thresholds) == "accuracy >= 0.9, r2 >= 0.1 and <= 0.99, loss <= 0.3, f1 >= 0.5"
    found = misses(thresholds, {"accuracy": 0.899999, "r2": 1.0, "loss": 0.3, "other": 1.0})
    assert found == [
        "accuracy 0.899999 is not >= 0.9",
        "r2 1 is not >= 0.1 and <= 0.99",
        "no f1",
    ]


@pytest.mark.parametrize(
    ("name", "bounds", "needs"),
    [("accuracy", {"max": 0.5}, "min"), ("root_mean_squared_error", {"min": 0}, "max")],
)
def test_a_bound_on_the_wrong_side_is_refused(
    name: str, bounds: dict[str, float], needs: str
) -> None:
    check = TypeAdapter(MetricThresholds).validate_python
    with pytest.raises(ValidationError, match=f"{name} needs {needs}: without it no model"):
        check({name: bounds})
    assert list(check({name: bounds | {needs: 0.25}})) == [name]


@pytest.mark.parametrize(
    ("status", "on"),
    [
        ("passed", True),
        ("skipped", True),
        ("failed", False),
        ("error", False),
        ("not reached", False),
    ],
)
def test_only_a_pass_or_a_skip_lets_a_release_on(status: str, on: bool) -> None:
    assert Outcome(status, "", "").lets_through is on  # type: ignore[arg-type]
