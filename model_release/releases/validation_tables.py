"""The tables of a validation: every gate, and champion against challenger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_release.gates.outcome import Outcome
from model_release.report import Interval, Table
from model_release.report.signs import number


@dataclass(frozen=True)
class ComparedMetric:
    """A metric of both models; None is what was not measured, or not allowed for.

    Args:
        name: of the metric.
        champion: its value for the champion.
        challenger: its value for the challenger, on the same rows.
        worse_by: how much worse the challenger is; below 0 it is better.
        low: lower confidence bound of that.
        at_most: upper confidence bound of that.
        allowed: what the champion gate holds `at_most` against.
    """

    name: str
    champion: float | None
    challenger: float | None
    worse_by: float | None
    low: float | None
    at_most: float | None
    allowed: float | None

    @property
    def interval(self) -> Interval | None:
        """Both bounds, where the champion gate has compared this metric."""
        low, point, high, allowed = self.low, self.worse_by, self.at_most, self.allowed
        if low is None or point is None or high is None or allowed is None:
            return None
        return Interval(self.name, low, point, high, allowed)

    def shown(self, column: str) -> str:
        """One of the above as a cell of a table."""
        if column == "interval":
            return self.interval.span if self.interval else number(None)
        return number(getattr(self, column))


def compared(
    metrics: Mapping[str, Mapping[str, float]],
    facts: Mapping[str, float],
    allowed: Mapping[str, float],
) -> list[ComparedMetric]:
    """Join values of both models with what the champion gate found and what it allows.

    Args:
        metrics: by name, its value for `champion` and `challenger`, where there is one.
        facts: of the champion gate's outcome.
        allowed: margins by name.
    """
    return [
        ComparedMetric(
            name,
            champion=pair.get("champion", facts.get(f"champion_{name}")),
            challenger=pair.get("challenger"),
            worse_by=facts.get(f"regression_{name}"),
            low=facts.get(f"regression_low_{name}"),
            at_most=facts.get(f"regression_bound_{name}"),
            allowed=allowed.get(name),
        )
        for name, pair in metrics.items()
    ]


def champion_table(found: Sequence[ComparedMetric], columns: Mapping[str, str]) -> Table:
    """One metric a row; `columns` has what is shown of it, and under which title."""
    rows = [(each.name, *(each.shown(column) for column in columns)) for each in found]
    return Table("Champion and challenger", ("metric", *columns.values()), rows)


def gate_table(gates: Sequence[Outcome], *, times: bool = False) -> Table:
    """One gate a row; with `times` the seconds that each took."""
    names = ("gate", "outcome", "required", "found")
    rows = [(gate.gate, gate.status, gate.required, gate.found) for gate in gates]
    if not times:
        return Table("Gates", names, rows)
    seconds = [f"{gate.seconds:.1f}" for gate in gates]
    return Table("Gates", (*names, "s"), [(*row, s) for row, s in zip(rows, seconds, strict=True)])
