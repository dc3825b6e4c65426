"""What a gate says, and the limits it is given."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["passed", "failed", "error", "skipped", "not reached"]


@dataclass(frozen=True)
class Outcome:
    """One gate's answer: what was required, what was found and, when it says no, what to do.

    `facts` are numbers worth keeping as metrics of the release, such as {"accuracy": 0.96}.
    """

    status: Status
    required: str
    found: str
    next_step: str = ""
    facts: tuple[tuple[str, float], ...] = ()
    gate: str = ""
    seconds: float = 0.0

    @property
    def lets_through(self) -> bool:
        """Only a pass, or a skip that the model's YAML asked for, lets a release on."""
        return self.status in ("passed", "skipped")


def passed(required: str, found: str, **facts: float) -> Outcome:
    """The gate is satisfied."""
    return Outcome("passed", required, found, facts=tuple(facts.items()))


def failed(required: str, found: str, next_step: str, **facts: float) -> Outcome:
    """The gate says no; `next_step` tells the trainer what would change that."""
    return Outcome("failed", required, found, next_step, tuple(facts.items()))


class Limits(BaseModel):
    """Base of every gate's section in `models/<name>.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    skip: str | None = Field(
        default=None,
        min_length=3,
        description="Skip this gate, for this reason. The reason stands in every report.",
    )


class Threshold(BaseModel):
    """A metric's bound: at least `min`, at most `max`, or both."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min: float | None = None
    max: float | None = None

    def __str__(self) -> str:
        bounds = [f">= {self.min:g}"] if self.min is not None else []
        return " and ".join(bounds + ([f"<= {self.max:g}"] if self.max is not None else []))

    def admits(self, value: float) -> bool:
        """Whether `value` lies within the bounds. NaN never does."""
        above = self.min is None or value >= self.min
        below = self.max is None or value <= self.max
        return value == value and above and below
