"""Threads follow the container's CPUs, not the node's."""

import os
from pathlib import Path

import pytest

from serving import cpus


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_quota(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpus.quota(tmp_path) == expected


@pytest.mark.parametrize(
    ("affinity", "limit", "expected"), [(8, None, 8), (8, 1.5, 2), (8, 0.2, 1), (2, 6.0, 2)]
)
def test_available(
    monkeypatch: pytest.MonkeyPatch, affinity: int, limit: float | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)))
    monkeypatch.setattr(cpus, "quota", lambda: limit)
    assert cpus.available() == expected


def test_workers_share_the_cpus_and_what_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"MKL_NUM_THREADS": "7"}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(cpus, "available", lambda: 7)
    cpus.limit_threads(2)  # three each, of which one is for the requests
    assert environment == {**dict.fromkeys(cpus.THREAD_VARIABLES, "2"), "MKL_NUM_THREADS": "7"}
    environment.clear()
    cpus.limit_threads(9)
    assert set(environment.values()) == {"1"}
