"""Slices: no part of the holdout is served worse than its floor."""

import math
from typing import ClassVar

from pydantic import Field

from model_release.gates.evidence import Scores, Slice
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
    """Thresholds that hold for the rows of every value of the named columns."""

    needs: ClassVar[tuple[str, ...]] = ("columns", "thresholds")

    columns: tuple[str, ...] = Field(
        (), min_length=1, description="Columns of the holdout; each of their values is a slice."
    )
    min_rows: int = Field(
        30, ge=1, description="Slices with fewer rows are reported and not judged."
    )
    thresholds: MetricThresholds = Field(
        default_factory=dict, min_length=1, description="Bounds by scikit-learn's metric name."
    )


def _worst(slices: list[Slice], limits: Limits) -> dict[str, float]:
    """The worst value of each metric over the slices; NaN and a missing metric are worst of all."""
    worst = {}
    for name in limits.thresholds:
        values = [each.metrics.get(name, math.nan) for each in slices]
        pick = min if METRICS[name].greater_is_better else max
        broken = any(math.isnan(value) for value in values)
        worst[name] = math.nan if broken else pick(values)
    return worst


def judge(evidence: Scores, limits: Limits) -> Outcome:
    """Pass when every slice with enough rows meets every threshold, and each column has one."""
    required = f"{listed(limits.thresholds)} for each of {', '.join(limits.columns)}"
    if evidence.problem:
        return failed(required, evidence.problem, "make the model predict the holdout")
    judged = [each for each in evidence.slices if each.rows >= limits.min_rows]
    small = len(evidence.slices) - len(judged)
    empty = [name for name in limits.columns if name not in {each.column for each in judged}]
    if empty:
        return failed(
            required,
            f"no slice of {', '.join(empty)} has {limits.min_rows} rows ({small} smaller ones)",
            "take a larger holdout, lower gates.slices.min_rows, or choose other columns",
        )
    facts = {f"worst_slice_{name}": value for name, value in _worst(judged, limits).items()}
    missed = [
        f"{each.column}={each.value} ({each.rows} rows): {', '.join(below)}"
        for each in judged
        if (below := misses(limits.thresholds, each.metrics))
    ]
    if missed:
        return failed(required, "; ".join(missed), "train with more data like these rows", **facts)
    worst = ", ".join(f"{name.removeprefix('worst_slice_')} {v:.6g}" for name, v in facts.items())
    left = f", {small} with under {limits.min_rows} rows not judged" if small else ""
    return passed(required, f"{len(judged)} slices, worst {worst}{left}", **facts)
