"""A few rows of the holdout: how they are chosen, and how two answers to them are compared."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_release.model_process.frames import Array


def spread(columns: Sequence[Array], rows: int) -> list[Array]:
    """At most `rows` rows of these columns, evenly spread, in order."""
    there = len(columns[0]) if columns else 0
    chosen = np.unique(np.linspace(0, max(there - 1, 0), min(rows, there)).astype(np.int64))
    return [column[chosen] for column in columns]


def row_differences(
    alone: Array, together: Array, *, rtol: float, atol: float
) -> tuple[float, ...]:
    """Per row, the largest absolute difference between two answers beyond the tolerance.

    0.0 where they agree within `atol + rtol * |together|`, infinity where the answers have another
    shape or type, or differ and are no numbers. NaN agrees with NaN.
    """
    if alone.shape != together.shape:
        return (math.inf,) * len(together)
    pairs = zip(alone.reshape(len(alone), -1), together.reshape(len(alone), -1), strict=True)
    return tuple(
        max((_difference(a, b, rtol, atol) for a, b in zip(*pair, strict=True)), default=0.0)
        for pair in pairs
    )


def _difference(alone: Any, together: Any, rtol: float, atol: float) -> float:
    numbers = isinstance(alone, int | float | np.number) and isinstance(
        together, int | float | np.number
    )
    if not numbers:
        return 0.0 if bool(np.all(alone == together)) else math.inf
    a, b = float(alone), float(together)
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    apart = abs(a - b)
    if math.isfinite(apart):
        return 0.0 if apart <= atol + rtol * abs(b) else apart
    return math.inf
