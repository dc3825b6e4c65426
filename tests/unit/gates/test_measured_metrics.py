"""Measured metrics: good enough, and what was claimed."""

import math

import pytest

from model_release.gates.evidence import Scores
from model_release.gates.measured_metrics import Limits, judge

LIMITS = Limits.model_validate({"thresholds": {"accuracy": {"min": 0.9}}, "claim_tolerance": 0.02})


@pytest.mark.parametrize("claimed", [{}, {"accuracy": 0.94}, {"accuracy": 0.90}, {"own": 3.0}])
def test_passes_when_met_and_no_claim_is_false(claimed: dict[str, float]) -> None:
    outcome = judge(Scores(50, {"accuracy": 0.92, "f1_macro": 0.5}, claimed), LIMITS)
    assert outcome.status == "passed"
    assert outcome.found == "accuracy 0.92 (50 rows)"
    assert outcome.facts == (("accuracy", 0.92), ("f1_macro", 0.5))


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        (Scores(50, {"accuracy": 0.89}), "accuracy 0.89 is not >= 0.9 (50 rows)"),
        (Scores(50, {"accuracy": math.nan}), "accuracy nan is not >= 0.9 (50 rows)"),
        (Scores(50, {}), "no accuracy (50 rows)"),
        (
            Scores(50, {"accuracy": 0.92}, {"accuracy": 0.99}),
            "accuracy claimed 0.99, measured 0.92",
        ),
        (
            Scores(50, {"accuracy": 0.92}, {"accuracy": math.nan}),
            "accuracy claimed nan, measured 0.92",
        ),
        (
            Scores(50, {"accuracy": 0.95, "f1_macro": 0.6}, {"accuracy": 0.95, "f1_macro": 0.5}),
            "f1_macro claimed 0.5, measured 0.6",
        ),
        (Scores(problem="died with signal 9"), "died with signal 9"),
    ],
)
def test_fails_with_the_reason(scores: Scores, found: str) -> None:
    outcome = judge(scores, LIMITS)
    assert (outcome.status, outcome.found) == ("failed", found)


@pytest.mark.parametrize(("claimed", "status"), [(2040.0, "passed"), (2041.0, "failed")])
def test_errors_in_the_target_s_unit_have_a_relative_tolerance(claimed: float, status: str) -> None:
    limits = Limits.model_validate(
        {"thresholds": {"max_error": {"max": 9999}}, "claim_tolerance": 0.02}
    )
    assert judge(Scores(9, {"max_error": 2000.0}, {"max_error": claimed}), limits).status == status
