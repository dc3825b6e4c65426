"""The report of a validation: what every gate required and found, and what was measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from model_release.gates.outcome import Outcome


@dataclass(frozen=True)
class ValidationReport:
    """`validate/report.json`, whose `text` is kept as it was written: it is what gets attested."""

    text: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "ValidationReport":
        """The report that says this."""
        return cls(json.dumps(document, indent=2))

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """All of it, as JSON values."""
        found: Mapping[str, Any] = json.loads(self.text)
        return found

    @property
    def version(self) -> str:
        """The version that was judged."""
        return str(self.document["version"])

    @property
    def champion(self) -> str | None:
        """The version that it was compared with; None for a first one."""
        champion: str | None = self.document["champion"]
        return champion

    @property
    def outcome(self) -> str:
        """Passed or refused."""
        return str(self.document["outcome"])

    @property
    def exit_code(self) -> int:
        """The command's, by the gate that stopped the release; 0 where none did."""
        return int(self.document["exit_code"])

    @property
    def metrics(self) -> Mapping[str, Mapping[str, float]]:
        """Metric → challenger's and champion's value."""
        found: Mapping[str, Mapping[str, float]] = self.document["metrics"]
        return found

    @property
    def slices(self) -> Sequence[Mapping[str, Any]]:
        """Slices of the holdout: column, value, rows and metrics; none in older reports."""
        return self.document.get("slices") or ()

    @cached_property
    def gates(self) -> tuple[Outcome, ...]:
        """Every gate's outcome, in order. Exit codes of single gates are not kept."""
        return tuple(
            Outcome(
                row["status"],
                row["required"],
                row["found"],
                row["next_step"],
                tuple(row["facts"].items()),
                row["gate"],
                row["seconds"],
            )
            for row in self.document["gates"]
        )

    def facts(self, gate: str) -> Mapping[str, float]:
        """The numbers that a gate found; none where it was not reached."""
        return next((dict(each.facts) for each in self.gates if each.gate == gate), {})

    def limits(self, gate: str) -> Mapping[str, Any]:
        """The limits that a gate judged by; none in older reports."""
        found: Mapping[str, Any] = (self.document.get("limits") or {}).get(gate, {})
        return found
