"""Latency and size: percentiles of what was timed."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_release.gates.evidence import Timing
from model_release.gates.latency import MIB, Limits, judge, percentile

LIMITS = Limits(single_p50_ms=2, single_p99_ms=5, batch_p50_ms=20, batch_p99_ms=30, max_size_mib=10)
GOOD = Timing((1.0, 2.0, 5.0), (10.0, 30.0), 256, 10 * MIB)


def test_passes_at_the_limits() -> None:
    outcome = judge(GOOD, LIMITS)
    assert outcome.status == "passed"
    assert outcome.found == (
        "single p50 2 ms, single p99 5 ms, batch p50 10 ms, batch p99 30 ms, size 10 MiB "
        "(3 rows, batches of 256)"
    )
    assert dict(outcome.facts)["single_p99_ms"] == 5.0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"single_ms": (3.0, 3.0)}, "single p50 is 3 ms"),
        ({"single_ms": (1.0, 1.0, 6.0)}, "single p99 is 6 ms"),
        ({"single_ms": ()}, "single p50 is nan ms, single p99 is nan ms"),
        ({"single_ms": (1.0, math.nan)}, "single p50 is nan ms, single p99 is nan ms"),
        ({"batch_ms": (25.0,)}, "batch p50 is 25 ms"),
        ({"batch_ms": (1.0, 31.0)}, "batch p99 is 31 ms"),
        ({"size_bytes": 11 * MIB}, "size is 11 MiB"),
        ({"problem": "does not answer"}, "does not answer"),
    ],
)
def test_fails_with_what_is_over(change: dict[str, object], found: str) -> None:
    outcome = judge(dataclasses.replace(GOOD, **change), LIMITS)  # type: ignore[arg-type]
    assert (outcome.status, outcome.found) == ("failed", found)


@given(
    values=st.lists(st.floats(0, 1e6), min_size=1),
    percent=st.floats(0, 100, exclude_min=True),
)
def test_a_percentile_is_the_smallest_value_that_covers_its_share(
    values: list[float], percent: float
) -> None:
    found = percentile(values, percent)
    covered = [value for value in values if value <= found]
    below = [value for value in values if value < found]
    # One part in a billion: percent / 100 is itself rounded.
    assert len(covered) / len(values) >= percent / 100 - 1e-9
    assert len(below) / len(values) < percent / 100 + 1e-9
