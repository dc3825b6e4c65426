"""Loadable: within time and memory, or the reason why not."""

import pytest

from model_release.gates.evidence import Load
from model_release.gates.loadable import MIB, Limits, judge

LIMITS = Limits(max_seconds=10, max_memory_mib=500)


@pytest.mark.parametrize(
    ("load", "status", "found"),
    [
        (Load(10.0, 500 * MIB), "passed", "10.00 s, 500 MiB"),
        (Load(10.1, 100 * MIB), "failed", "10.10 s, 100 MiB"),
        (Load(1.0, 501 * MIB), "failed", "1.00 s, 501 MiB"),
        (Load(float("nan"), MIB), "failed", "nan s, 1 MiB"),
        (Load(problem="ImportError: no module named wine"), "failed", "ImportError: no module"),
    ],
)
def test_time_and_memory(load: Load, status: str, found: str) -> None:
    outcome = judge(load, LIMITS)
    assert outcome.status == status
    assert outcome.found.startswith(found)
    assert bool(outcome.next_step) == (status == "failed")
