"""Claimed metrics: what was logged has to be there and good enough."""

import math

import pytest

from model_release.gates.claimed_metrics import Limits, judge
from model_release.gates.evidence import Claims

LIMITS = Limits.model_validate({"thresholds": {"accuracy": {"min": 0.9}, "my loss": {"max": 0.3}}})


def test_passes_when_all_are_met() -> None:
    outcome = judge(Claims("run r1", {"accuracy": 0.9, "my loss": 0.1, "other": 7}), LIMITS)
    assert outcome.status == "passed"
    assert outcome.found == "accuracy 0.9, my loss 0.1"
    assert outcome.facts == (("claimed_accuracy", 0.9), ("claimed_my loss", 0.1))


@pytest.mark.parametrize(
    ("metrics", "found"),
    [
        ({"accuracy": 0.89, "my loss": 0.1}, "accuracy 0.89 is not >= 0.9 (run r1)"),
        ({"accuracy": 0.95, "my loss": 0.5}, "my loss 0.5 is not <= 0.3 (run r1)"),
        ({"accuracy": math.nan, "my loss": 0.1}, "accuracy nan is not >= 0.9 (run r1)"),
        ({"accuracy": math.inf, "my loss": 0.1}, "accuracy inf is not >= 0.9 (run r1)"),
        ({"accuracy": 0.95}, "no my loss (run r1)"),
        ({}, "no accuracy; no my loss (run r1)"),
    ],
)
def test_fails_on_what_is_worse_missing_or_no_number(metrics: dict[str, float], found: str) -> None:
    outcome = judge(Claims("run r1", metrics), LIMITS)
    assert (outcome.status, outcome.found) == ("failed", found)
