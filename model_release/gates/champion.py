"""Champion: the challenger is not worse than the champion, with a stated confidence."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from model_release.gates.evidence import Scores
from model_release.gates.outcome import GateLimits, MetricName, Outcome, failed, passed
from model_release.metrics import METRICS
from model_release.metrics.bootstrap import PairedDifference, PairedSample, paired_bootstrap

EVIDENCE = Scores
ROUNDING = 1e-9
"""Relative; the last bits of a sum must not decide."""


def _resampled(name: str) -> str:
    if METRICS[name].statistic is None:
        raise ValueError(f"{name} cannot be resampled, so it cannot be compared with a champion")
    return name


Margin = Annotated[float, Field(ge=0)]


class Limits(GateLimits):
    """At most `max_regression` worse than the champion on the same rows, with a confidence."""

    needs: ClassVar[tuple[str, ...]] = ("max_regression",)

    max_regression: dict[Annotated[MetricName, AfterValidator(_resampled)], Margin] = Field(
        default_factory=dict,
        min_length=1,
        description="Margins by metric name, in the metric's own unit: `accuracy: 0.01`. Not for "
        "log_loss, roc_auc, median_absolute_error and max_error, which are not sums over rows.",
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="One-sided confidence of the statement `not worse`."
    )
    resamples: int = Field(2000, ge=200, le=100_000, description="Draws of the paired bootstrap.")
    min_rows: int = Field(
        100, ge=2, description="Rows that the holdout needs; with fewer the gate fails."
    )
    seed: int = Field(0, ge=0, description="Seed of the draws: the same data give the same answer.")
    when_no_champion: Literal["pass", "fail"] = Field(
        "fail", description="Result of the gate while no version has the alias champion."
    )


def _required(limits: Limits) -> str:
    margins = ", ".join(f"{name} {margin:g}" for name, margin in limits.max_regression.items())
    return f"at most worse by {margins}, with {limits.confidence:.0%} confidence"


def judge(evidence: Scores, limits: Limits) -> Outcome:
    """Pass when the upper bound of every regression lies within its margin."""
    required = _required(limits)
    if evidence.problem:
        return failed(required, evidence.problem, "make both models predict the holdout")
    against = f"version {evidence.champion_version or 'unknown'}"
    if evidence.champion_version is None and not evidence.champion_problem:
        return _without_champion(required, limits)
    if evidence.champion_problem or evidence.sample is None:
        return failed(
            required,
            f"champion {against} was not scored: {evidence.champion_problem or 'no answers'}",
            "roll back to a champion that loads and predicts, then validate again",
        )
    rows = len(evidence.sample.truth)
    if rows < limits.min_rows:
        return failed(
            required,
            f"{rows} rows, at least {limits.min_rows} wanted",
            "take a larger holdout, or lower gates.champion.min_rows",
        )
    return _compared(required, against, evidence.sample, limits)


def _without_champion(required: str, limits: Limits) -> Outcome:
    if limits.when_no_champion == "pass":
        return passed(required, "no champion yet: nothing to compare with, as configured")
    return failed(
        required,
        "no champion yet",
        "set gates.champion.when_no_champion: pass for the first release",
    )


def _compared(required: str, against: str, sample: PairedSample, limits: Limits) -> Outcome:
    differences = {
        name: paired_bootstrap(
            sample,
            name,
            confidence=limits.confidence,
            resamples=limits.resamples,
            seed=limits.seed,
        )
        for name in limits.max_regression
    }
    facts = {
        key: value
        for name, difference in differences.items()
        for key, value in (
            (f"champion_{name}", difference.champion),
            (f"regression_{name}", difference.regression),
            (f"regression_bound_{name}", difference.bound),
            (f"regression_low_{name}", difference.low),
        )
    }
    found = "; ".join(_shown(name, each) for name, each in differences.items())
    found = f"{found} (champion {against}, {len(sample.truth)} rows)"
    if all(
        each.bound <= limits.max_regression[name] + ROUNDING * (1 + abs(each.champion))
        for name, each in differences.items()
    ):
        return passed(required, found, **facts)
    return failed(
        required,
        found,
        "train a better model; if both are equally good, take a larger holdout",
        **facts,
    )


def _shown(name: str, difference: PairedDifference) -> str:
    return (
        f"{name} {difference.challenger:.6g} against {difference.champion:.6g}, "
        f"worse by {difference.bound:.4g} at most"
    )
