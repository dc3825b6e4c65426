"""The outcome of a gate, and the base of its limits."""

import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from model_release.metrics import METRICS

# pydantic would search every installed distribution for plugins: 0.1 s at each start, for none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

Status = Literal["passed", "failed", "error", "skipped", "not reached"]


@dataclass(frozen=True)
class Outcome:
    """One gate's answer: what was required, what was found and, when it says no, what to do.

    `facts` are numbers worth keeping as metrics of the release, such as {"accuracy": 0.96}.
    `exit_code` is the command's, should this gate be what stops the release.
    """

    status: Status
    required: str
    found: str
    next_step: str = ""
    facts: tuple[tuple[str, float], ...] = ()
    gate: str = ""
    seconds: float = 0.0
    exit_code: int = 1

    @property
    def lets_through(self) -> bool:
        """Only a pass, or a skip with a reason in the model's YAML, lets a release on."""
        return self.status in ("passed", "skipped")


def passed(required: str, found: str, **facts: float) -> Outcome:
    """The gate is satisfied."""
    return Outcome("passed", required, found, facts=tuple(facts.items()))


def failed(required: str, found: str, next_step: str, **facts: float) -> Outcome:
    """The gate says no; `next_step` tells the trainer what would change that."""
    return Outcome("failed", required, found, next_step, tuple(facts.items()))


def _needs_in_schema(schema: dict[str, Any], limits: type[BaseModel]) -> None:
    """Say in the JSON schema what `Limits.needs` says."""
    needs = getattr(limits, "needs", ())
    if needs:
        schema["anyOf"] = [{"required": list(needs)}, {"required": ["skip"]}]


class GateLimits(BaseModel):
    """Base of every gate's section in `models/<name>.yaml`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, json_schema_extra=_needs_in_schema
    )

    needs: ClassVar[tuple[str, ...]] = ()
    """Limits without a default: in the YAML, and not empty, unless the gate is skipped."""

    skip: str | None = Field(
        default=None,
        min_length=3,
        pattern=r"\S",
        description="Skip this gate, for this reason. The reason stands in every report.",
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        lacking = [name for name in self.needs if not getattr(self, name)]
        if lacking and self.skip is None:
            raise ValueError(f"{' and '.join(lacking)} must be given, or skip: <reason>")
        return self


class Threshold(BaseModel):
    """A metric's bound: at least `min`, at most `max`, or both."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a threshold needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    def __str__(self) -> str:
        bounds = [f">= {self.min:g}"] if self.min is not None else []
        return " and ".join(bounds + ([f"<= {self.max:g}"] if self.max is not None else []))

    def admits(self, value: float) -> bool:
        """Whether `value` lies within the bounds. NaN and infinity never do."""
        above = self.min is None or value >= self.min
        below = self.max is None or value <= self.max
        return math.isfinite(value) and above and below


def known_metric(name: str) -> str:
    """The name, when `metrics` can compute it; else a ValueError that lists close ones."""
    if name not in METRICS:
        close = ", ".join(difflib.get_close_matches(name, METRICS) or METRICS)
        raise ValueError(f"unknown metric {name!r}; known: {close}")
    return name


MetricName = Annotated[
    str, AfterValidator(known_metric), WithJsonSchema({"type": "string", "enum": list(METRICS)})
]


def _bound_what_is_worse(thresholds: dict[str, Threshold]) -> dict[str, Threshold]:
    """The thresholds, unless one of them would let any bad model through."""
    for name, threshold in thresholds.items():
        bound = "min" if METRICS[name].greater_is_better else "max"
        if getattr(threshold, bound) is None:
            raise ValueError(f"{name} needs {bound}: without it no model is too bad")
    return thresholds


MetricThresholds = Annotated[dict[MetricName, Threshold], AfterValidator(_bound_what_is_worse)]
"""Bounds by scikit-learn's metric name, each on the side on which the metric is worse."""


def misses(thresholds: Mapping[str, Threshold], metrics: Mapping[str, float]) -> list[str]:
    """Each threshold that is not met, as a phrase; a missing metric meets none."""
    return [
        f"{name} {metrics[name]:.6g} is not {threshold}" if name in metrics else f"no {name}"
        for name, threshold in thresholds.items()
        if name not in metrics or not threshold.admits(metrics[name])
    ]


def listed(thresholds: Mapping[str, Threshold]) -> str:
    """The thresholds as a phrase: `accuracy >= 0.9, f1_macro >= 0.85`."""
    return ", ".join(f"{name} {threshold}" for name, threshold in thresholds.items())
