"""The gates, in the order in which they are asked. A gate is one module: EVIDENCE, Limits, judge.

A new gate is one new file in this folder and one line under `gates:` in `models/<name>.yaml`:
modules that `ORDER` does not name are asked after those that it does, by name.
"""

import importlib
import pkgutil
from functools import cache
from typing import Any, Protocol, cast

from model_release.gates.outcome import GateLimits, Outcome

ORDER = (
    "integrity",
    "environment",
    "serialization",
    "loadable",
    "signature",
    "claimed_metrics",
    "measured_metrics",
    "champion",
    "slices",
    "latency",
    "row_independence",
    "golden",
)


class Gate(Protocol):
    """What a module in this folder offers."""

    EVIDENCE: type
    Limits: type[GateLimits]

    def judge(self, evidence: Any, limits: Any) -> Outcome:
        """Decide: pure, from the evidence and the model's limits alone."""


@cache
def gates() -> dict[str, Gate]:
    """Every gate by name, in the order in which they are asked."""
    found = {module.name for module in pkgutil.iter_modules(__path__)} - {"evidence", "outcome"}
    names = [name for name in ORDER if name in found] + sorted(found - set(ORDER))
    return {name: cast("Gate", importlib.import_module(f"{__name__}.{name}")) for name in names}
