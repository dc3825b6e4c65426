"""Latency and size: the model answers fast enough and is small enough to be shipped."""

import math
from collections.abc import Sequence

from pydantic import Field

from model_release.gates.evidence import Timing
from model_release.gates.outcome import GateLimits, Outcome, failed, passed

EVIDENCE = Timing
MIB = 1024 * 1024


class Limits(GateLimits):
    """Time of asking the model's own process for one row and a batch, and size on disk."""

    single_p50_ms: float = Field(100.0, gt=0, description="Median time of one row, in ms.")
    single_p99_ms: float = Field(500.0, gt=0, description="99th percentile of one row, in ms.")
    batch_rows: int = Field(256, ge=1, description="Rows of the batch.")
    batch_p50_ms: float = Field(1000.0, gt=0, description="Median time of the batch, in ms.")
    batch_p99_ms: float = Field(5000.0, gt=0, description="99th percentile of the batch, in ms.")
    requests: int = Field(100, ge=1, description="Single rows that are timed.")
    max_size_mib: float = Field(1024.0, gt=0, description="Size of the model's files, in MiB.")


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that `percent` of them do not exceed (nearest rank).

    NaN when there are no values or one of them is NaN.
    """
    if not values or any(math.isnan(value) for value in values):
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def judge(evidence: Timing, limits: Limits) -> Outcome:
    """Pass when all percentiles and the size lie within the limits."""
    allowed = {
        "single_p50_ms": limits.single_p50_ms,
        "single_p99_ms": limits.single_p99_ms,
        "batch_p50_ms": limits.batch_p50_ms,
        "batch_p99_ms": limits.batch_p99_ms,
        "size_mib": limits.max_size_mib,
    }
    required = _shown(allowed, "<=")
    if evidence.problem:
        return failed(required, evidence.problem, "make the model predict single rows and batches")
    facts = {
        "single_p50_ms": percentile(evidence.single_ms, 50),
        "single_p99_ms": percentile(evidence.single_ms, 99),
        "batch_p50_ms": percentile(evidence.batch_ms, 50),
        "batch_p99_ms": percentile(evidence.batch_ms, 99),
        "size_mib": evidence.size_bytes / MIB,
    }
    over = [name for name, value in facts.items() if not 0 <= value <= allowed[name]]
    if over:
        return failed(
            required,
            _shown({name: facts[name] for name in over}, "is"),
            "make the model smaller or faster, or raise gates.latency for this model",
            **facts,
        )
    found = f"{_shown(facts)} ({len(evidence.single_ms)} rows, batches of {evidence.batch_rows})"
    return passed(required, found, **facts)


def _shown(values: dict[str, float], relation: str = "") -> str:
    return ", ".join(
        " ".join(
            filter(
                None, (name.rpartition("_")[0].replace("_", " "), relation, _with_unit(name, value))
            )
        )
        for name, value in values.items()
    )


def _with_unit(name: str, value: float) -> str:
    return f"{value:.4g} {'MiB' if name.endswith('mib') else 'ms'}"
