"""Measured metrics: recomputed on the holdout, good enough, and what the training run claimed."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from model_release.gates.evidence import Scores
from model_release.gates.outcome import (
    GateLimits,
    MetricThresholds,
    Outcome,
    failed,
    listed,
    misses,
    passed,
)
from model_release.metrics import METRICS

EVIDENCE = Scores


class Limits(GateLimits):
    """Thresholds on metrics recomputed on the holdout, which claimed metrics must agree with."""

    needs: ClassVar[tuple[str, ...]] = ("thresholds",)

    thresholds: MetricThresholds = Field(
        default_factory=dict,
        min_length=1,
        description="Bounds by scikit-learn's metric name: `accuracy: {min: 0.9}`, "
        "`root_mean_squared_error: {max: 3.2}`.",
    )
    claim_tolerance: float = Field(
        0.05,
        ge=0,
        description="How far a claimed metric may be from the measured one: absolute; relative "
        "to the measured one for errors on the scale of the target.",
    )


def _false_claims(evidence: Scores, tolerance: float) -> Iterator[str]:
    for name, claimed in evidence.claimed.items():
        if name in evidence.measured:
            measured = evidence.measured[name]
            has_unit = name in METRICS and METRICS[name].has_unit
            allowed = tolerance * abs(measured) if has_unit else tolerance
            # Written so that NaN is a false claim; 1e-12 forgives the last bits of a sum.
            if not abs(claimed - measured) <= allowed + 1e-12:
                yield f"{name} claimed {claimed:.6g}, measured {measured:.6g}"


def judge(evidence: Scores, limits: Limits) -> Outcome:
    """Pass when every threshold is met and no claim is false; NaN and infinity never pass."""
    required = f"{listed(limits.thresholds)}; claims within {limits.claim_tolerance:g}"
    if evidence.problem:
        return failed(
            required,
            evidence.problem,
            "make the model predict the holdout named in models/<name>.yaml",
        )
    facts = dict(evidence.measured)
    missed = misses(limits.thresholds, evidence.measured)
    if missed:
        return failed(
            required, f"{'; '.join(missed)} ({evidence.rows} rows)", "train a better model", **facts
        )
    false = list(_false_claims(evidence, limits.claim_tolerance))
    if false:
        return failed(
            required,
            "; ".join(false),
            "log this metric from data like the holdout, computed as scikit-learn computes it",
            **facts,
        )
    found = ", ".join(f"{name} {evidence.measured[name]:.6g}" for name in limits.thresholds)
    return passed(required, f"{found} ({evidence.rows} rows)", **facts)
