"""How many threads numerical libraries may use: the CPUs of the container, shared by its workers.

Left alone, OpenMP takes the CPUs of the node: two such processes on two CPUs stall each other for
seconds. A CPU is left to the thread that reads and answers requests meanwhile, because OpenMP's
threads wait for one another at every step, actively: on two busy CPUs gradient boosting answered
nearly twice as many requests with one thread as with two. The libraries read the variables once,
when numpy is first imported.
"""

import math
import os
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """CPUs that the cgroup (version 2, else 1) grants, or None without a limit."""
    try:
        allowed, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            allowed = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if allowed in ("max", "-1") or not float(period):
        return None
    return float(allowed) / float(period)


def available() -> int:
    """CPUs this process may use, at least 1: its affinity, cut to the cgroup's quota."""
    affinity = len(os.sched_getaffinity(0))
    limit = quota()
    return affinity if limit is None else max(1, min(affinity, math.ceil(limit)))


def limit_threads(workers: int) -> None:
    """Set the thread variables that nobody set; call it before numpy is imported."""
    share = str(max(1, available() // workers - 1))
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, share)
