"""Claimed metrics: what the training run logged is good enough."""

from typing import ClassVar

from pydantic import Field

from model_release.gates.evidence import Claims
from model_release.gates.outcome import (
    GateLimits,
    Outcome,
    Threshold,
    failed,
    listed,
    misses,
    passed,
)

EVIDENCE = Claims


class Limits(GateLimits):
    """Thresholds on the metrics that the training run logged, under the names it gave them."""

    needs: ClassVar[tuple[str, ...]] = ("thresholds",)

    thresholds: dict[str, Threshold] = Field(
        default_factory=dict,
        min_length=1,
        description="Bounds by metric name: `accuracy: {min: 0.9}`, `loss: {max: 0.3}`.",
    )


def judge(evidence: Claims, limits: Limits) -> Outcome:
    """Pass when every threshold is met; a missing, NaN or infinite metric meets none."""
    required = listed(limits.thresholds)
    values = {
        name: evidence.metrics[name] for name in limits.thresholds if name in evidence.metrics
    }
    facts = {f"claimed_{name}": value for name, value in values.items()}
    missed = misses(limits.thresholds, evidence.metrics)
    if missed:
        return failed(
            required,
            f"{'; '.join(missed)} ({evidence.by})",
            "log these metrics where the model is trained (mlflow.log_metric; with model_id= in a "
            "run of several models), or train a better model",
            **facts,
        )
    return passed(
        required, ", ".join(f"{name} {value:.6g}" for name, value in values.items()), **facts
    )
