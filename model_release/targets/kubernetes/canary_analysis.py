"""The canary's decision: what two versions answered side by side → promote, abort or inconclusive.

Each comparison has a confidence interval and a limit. A canary whose interval lies beyond the limit
is worse; one whose interval lies within it is not worse; anything between is undecided, and more
requests would tell. It takes the pods' own counts to promote a canary; what the pipeline itself saw
of the requests that it replayed is enough to refuse one.

Error rates: Newcombe's hybrid score interval for the difference of two proportions (Statistics in
Medicine 17, 1998, method 10). Latency: order-statistic intervals of quantiles (Conover, Practical
Nonparametric Statistics, 1999, section 3.2), read off histograms.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Literal

Verdict = Literal["promote", "abort", "inconclusive"]

QUANTILES = {"median": 0.5, "p95": 0.95}

ERROR_RATE = "error rate"
PODS = "the pods"
REPLAY = "the replay"
OF_REPLAY = " of replayed requests"


@dataclass(frozen=True)
class Sample:
    """What a group of pods answered in a span of time.

    Args:
        requests: answers to /invocations.
        errors: those with another status than 200.
        latency: requests by upper bound of their latency in seconds, not cumulated; the last
            bound may be infinite.
    """

    requests: float = 0
    errors: float = 0
    latency: Mapping[float, float] = field(default_factory=dict)

    def __add__(self, other: "Sample") -> "Sample":
        return self._with(other, 1)

    def __sub__(self, other: "Sample") -> "Sample":
        return self._with(other, -1)

    def _with(self, other: "Sample", sign: int) -> "Sample":
        bounds = sorted({*self.latency, *other.latency})
        return Sample(
            self.requests + sign * other.requests,
            self.errors + sign * other.errors,
            {b: self.latency.get(b, 0) + sign * other.latency.get(b, 0) for b in bounds},
        )

    def quantile(self, share: float) -> float:
        """Seconds within which `share` of the requests were answered, linear inside a bucket."""
        wanted = max(0.0, share) * sum(self.latency.values())
        below = counted = 0.0
        for bound, count in sorted(self.latency.items()):
            if count and counted + count >= wanted:
                inside = max(0.0, (wanted - counted) / count)
                return bound if math.isinf(bound) else below + (bound - below) * inside
            below, counted = bound, counted + count
        return below


@dataclass(frozen=True)
class AnalysisLimits:
    """How much worse a canary may be.

    Args:
        min_requests: answers that the canary and the stable version need, each.
        max_error_rate_increase: difference of error rates, 0.01 for one request in a hundred.
        max_latency_ratio: canary's latency over the stable version's.
        confidence: of each one-sided bound, such as 0.95.
    """

    min_requests: int
    max_error_rate_increase: float
    max_latency_ratio: float
    confidence: float


@dataclass(frozen=True)
class Comparison:
    """One figure of both versions; `lower` to `upper` is the interval that `limit` bounds.

    `seen_by` says whose figure it is. One that is only a `guard` refuses a canary that is worse,
    but need not tell that it is not.
    """

    name: str
    stable: float
    canary: float
    lower: float
    upper: float
    limit: float
    seen_by: str = PODS
    guard: bool = False

    @property
    def verdict(self) -> Verdict:
        """Whether the interval lies beyond the limit, within it, or across it."""
        if self.lower > self.limit:
            return "abort"
        return "promote" if self.guard or self.upper <= self.limit else "inconclusive"


@dataclass(frozen=True)
class Decision:
    """The verdict, the reason in one line, and the comparisons behind it."""

    verdict: Verdict
    reason: str
    comparisons: Sequence[Comparison]


NOTHING_SEEN = Sample(), Sample()


def judge_canary(
    stable: Sample,
    canary: Sample,
    limits: AnalysisLimits,
    faults: Sequence[str] = (),
    *,
    seen: tuple[Sample, Sample] = NOTHING_SEEN,
    by_replay: bool = False,
) -> Decision:
    """Decide about a canary.

    Args:
        stable: what the stable pods count of their answers meanwhile.
        canary: what the canary's pods count of theirs.
        limits: how much worse it may be.
        faults: what is wrong with the canary beyond rates, such as a golden prediction that
            differs, a container that restarted, or counts that contradict what was seen; one is
            enough to abort.
        seen: what the stable version and the canary answered to requests that were replayed.
        by_replay: whether the latency of these alone decides, because callers are few.
    """
    comparisons = _all_figures(stable, canary, limits)
    replayed = [
        replace(each, name=each.name + OF_REPLAY, seen_by=REPLAY, guard=True)
        for each in _all_figures(*seen, limits)
    ]
    if by_replay:
        comparisons = comparisons[:1]
        replayed[1:] = [replace(each, guard=False) for each in replayed[1:]]
    comparisons += replayed
    if faults:
        return Decision("abort", faults[0], comparisons)
    worse = [each for each in comparisons if each.verdict == "abort"]
    if worse:
        return Decision("abort", describe(worse[0]), comparisons)
    for name, sample in (("canary", canary), ("stable version", stable)):
        if sample.requests < limits.min_requests:
            found = f"the {name} answered {sample.requests:.0f} of at least {limits.min_requests}"
            return Decision("inconclusive", f"too few requests: {found}", comparisons)
    if by_replay and not replayed:
        found = "no replayed request was answered"
        return Decision("inconclusive", f"too few requests: {found}", comparisons)
    unclear = [each for each in comparisons if each.verdict == "inconclusive"]
    if unclear:
        reason = f"too few requests to tell: {describe(unclear[0])}"
        return Decision("inconclusive", reason, comparisons)
    return Decision("promote", f"not worse over {canary.requests:.0f} requests", comparisons)


def _all_figures(stable: Sample, canary: Sample, limits: AnalysisLimits) -> list[Comparison]:
    """Error rates, then the latencies; nothing where one of both answered nothing."""
    if not (stable.requests > 0 and canary.requests > 0):
        return []
    return [
        error_rates(stable, canary, limits),
        *(latencies(name, stable, canary, limits) for name in QUANTILES),
    ]


def error_rates(stable: Sample, canary: Sample, limits: AnalysisLimits) -> Comparison:
    """How much larger the canary's error rate is, by Newcombe's method 10."""
    z = NormalDist().inv_cdf(limits.confidence)
    old, old_low, old_high = _wilson(stable.errors, stable.requests, z)
    new, new_low, new_high = _wilson(canary.errors, canary.requests, z)
    difference = new - old
    return Comparison(
        ERROR_RATE,
        old,
        new,
        max(-1.0, difference - math.hypot(new - new_low, old_high - old)),
        min(1.0, difference + math.hypot(new_high - new, old - old_low)),
        limits.max_error_rate_increase,
    )


def latencies(name: str, stable: Sample, canary: Sample, limits: AnalysisLimits) -> Comparison:
    """How many times as long the canary takes, at one of QUANTILES."""
    old, old_low, old_high = _bounds(stable, QUANTILES[name], limits.confidence)
    new, new_low, new_high = _bounds(canary, QUANTILES[name], limits.confidence)
    ratios = _ratio(new_low, old_high), _ratio(new_high, old_low)
    return Comparison(f"{name} latency", old, new, *ratios, limits.max_latency_ratio)


def figures(comparison: Comparison) -> tuple[str, str, str, str, str]:
    """A comparison for people: name, stable, canary, the interval, what is allowed."""
    rate = comparison.name.startswith(ERROR_RATE)
    value, bound = ("{:.2%}", "{:+.2%}") if rate else ("{:.1f} ms", "{:.2f} ×")
    scale = 1 if rate else 1000
    interval = f"{bound.format(comparison.lower)} to {bound.format(comparison.upper)}"
    return (
        comparison.name,
        value.format(comparison.stable * scale),
        value.format(comparison.canary * scale),
        interval,
        bound.format(comparison.limit),
    )


def describe(comparison: Comparison) -> str:
    """A comparison in one line."""
    name, stable, canary, interval, limit = figures(comparison)
    return f"{name} {canary}, stable {stable}; {interval}, allowed {limit}"


def replicas(share: float, stable: int) -> int:
    """Canary pods beside `stable` pods that make up about `share` of all; at least one."""
    return max(1, round(share * stable / (1 - share)))


def _wilson(errors: float, requests: float, z: float) -> tuple[float, float, float]:
    """Rate, lower and upper bound of Wilson's score interval."""
    rate = min(1.0, max(0.0, errors / requests))
    centre = rate + z * z / (2 * requests)
    half = z * math.sqrt(rate * (1 - rate) / requests + z * z / (4 * requests**2))
    scale = 1 + z * z / requests
    return rate, max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def _bounds(sample: Sample, share: float, confidence: float) -> tuple[float, float, float]:
    """Seconds at a quantile, with the one-sided bounds that its order statistics give."""
    count = sum(sample.latency.values())
    if not count:
        return math.nan, 0.0, math.inf
    half = NormalDist().inv_cdf(confidence) * math.sqrt(share * (1 - share) / count)
    high = sample.quantile(share + half) if share + half < 1 else math.inf
    return sample.quantile(share), sample.quantile(share - half), high


def _ratio(new: float, old: float) -> float:
    if math.isinf(old):
        return 0.0
    return new / old if old > 0 else math.inf
