"""Runs side by side: parameters and metrics, the best one first. Pure, except for the plots."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_release.identity import short_id
from model_release.report import Table
from model_release.report.signs import number

LOWER_IS_BETTER = ("loss", "error", "mae", "mse", "rmse", "seconds", "latency")


@dataclass(frozen=True)
class Entrant:
    """A run that is compared."""

    run_id: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    model_ids: tuple[str, ...] = ()


def is_lower_better(metric: str) -> bool:
    """Whether a metric's name says that less of it is better."""
    words = metric.lower().replace("-", "_").split("_")
    return any(word in words for word in LOWER_IS_BETTER)


def ranked(entrants: Sequence[Entrant], metric: str, *, lower: bool) -> list[Entrant]:
    """The best first by a metric; those without it, or with NaN, last. Ties stay in order."""

    def key(entrant: Entrant) -> tuple[bool, float]:
        value = entrant.metrics.get(metric, math.nan)
        return (math.isnan(value), 0.0 if math.isnan(value) else value if lower else -value)

    return sorted(entrants, key=key)


def side_by_side(entrants: Sequence[Entrant], *, varying: bool) -> Table:
    """One run a column, one parameter or metric a row; with `varying` only those that differ."""
    rows = []
    for kind in ("params", "metrics"):
        names = sorted({name for each in entrants for name in getattr(each, kind)})
        for name in names:
            values = [getattr(each, kind).get(name) for each in entrants]
            if not varying or len({str(value) for value in values}) > 1:
                rows.append((f"{kind[:-1]} {name}", *map(_shown, values)))
    columns = ("what", *(f"{each.name} ({short_id(each.run_id)})" for each in entrants))
    return Table("Runs, the best first", columns, rows)


def _shown(value: str | float | None) -> str:
    return value if isinstance(value, str) else number(value, digits=6)


def plot(entrants: Sequence[Entrant], metrics: Sequence[str], folder: Path) -> list[Path]:
    """One bar chart a metric, the best first, as PNG; return their paths."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for metric in metrics:
        found = ranked(entrants, metric, lower=is_lower_better(metric))
        found = [each for each in found if metric in each.metrics]
        figure, axes = pyplot.subplots(figsize=(6, 0.4 * len(found) + 1.2), layout="constrained")
        names = [f"{each.name} ({short_id(each.run_id)})" for each in found]
        axes.barh(names, [each.metrics[metric] for each in found])
        axes.invert_yaxis()
        axes.set_xlabel(metric)
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in metric)
        written.append(folder / f"{safe}.png")
        figure.savefig(written[-1], dpi=120)
        pyplot.close(figure)
    return written
