"""The canary's decision, on plain counts."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_release.targets.kubernetes.canary_analysis import (
    AnalysisLimits,
    Sample,
    describe,
    error_rates,
    figures,
    judge_canary,
    latencies,
    replicas,
)

LIMITS = AnalysisLimits(
    min_requests=300, max_error_rate_increase=0.01, max_latency_ratio=1.5, confidence=0.95
)
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, math.inf)


def sample(requests: int, errors: int = 0, milliseconds: float = 8.0) -> Sample:
    """Requests whose latency is spread evenly over half to one and a half of `milliseconds`."""
    latency = dict.fromkeys(BOUNDS, 0.0)
    for number in range(requests):
        seconds = milliseconds / 1000 * (0.5 + number / requests)
        latency[next(bound for bound in BOUNDS if seconds <= bound)] += 1
    return Sample(requests, errors, latency)


@pytest.mark.parametrize(
    ("stable", "canary", "verdict", "reason"),
    [
        (sample(1000), sample(1000), "promote", "not worse over 1000 requests"),
        (sample(1000, milliseconds=24), sample(1000), "promote", "not worse"),
        (sample(1000, 50), sample(1000), "promote", "not worse"),
        (sample(400), sample(400, 20), "abort", "error rate 5.00%, stable 0.00%"),
        (sample(1000), sample(1000, milliseconds=24), "abort", "median latency"),
        (sample(299), sample(1000), "inconclusive", "stable version answered 299 of at least 300"),
        (sample(1000), sample(299), "inconclusive", "the canary answered 299 of at least 300"),
        (Sample(), Sample(), "inconclusive", "the canary answered 0 of at least 300"),
        (sample(300), sample(300, 3), "inconclusive", "too few requests to tell: error rate"),
        (sample(1000), sample(30, 30), "abort", "error rate 100.00%"),
    ],
)
def test_verdicts(stable: Sample, canary: Sample, verdict: str, reason: str) -> None:
    decision = judge_canary(stable, canary, LIMITS)
    assert decision.verdict == verdict, decision
    assert reason in decision.reason


def test_a_fault_aborts_whatever_was_measured() -> None:
    wrong = "golden prediction row 1: predictions[0]: 12.0 in place of 11.0"
    decision = judge_canary(sample(1000), sample(1000), LIMITS, [wrong, "another"])
    assert (decision.verdict, decision.reason) == ("abort", wrong)
    assert judge_canary(Sample(), Sample(), LIMITS, [wrong]).verdict == "abort"


@pytest.mark.parametrize("by_replay", [True, False])
@pytest.mark.parametrize(
    ("seen", "verdict", "reason"),
    [
        ((sample(1000), sample(1000)), "promote", "not worse over 1000 requests"),
        ((sample(1000), sample(1000, 3)), "promote", "not worse over 1000 requests"),
        ((sample(400), sample(400, 20)), "abort", "error rate of replayed requests 5.00%, stable"),
        ((sample(100), sample(100, milliseconds=90)), "abort", "median latency of replayed req"),
    ],
)
def test_what_was_seen_refuses_what_the_pods_deny(
    seen: tuple[Sample, Sample], verdict: str, reason: str, by_replay: bool
) -> None:
    decision = judge_canary(sample(1000), sample(1000), LIMITS, seen=seen, by_replay=by_replay)
    assert decision.verdict == verdict, decision
    assert decision.reason.startswith(reason)


def test_few_replayed_requests_hold_up_no_canary_that_callers_judge() -> None:
    few = sample(10), sample(10)
    assert judge_canary(sample(1000), sample(1000), LIMITS, seen=few).verdict == "promote"
    alone = judge_canary(sample(1000), sample(1000), LIMITS, seen=few, by_replay=True)
    assert alone.verdict == "inconclusive"
    assert "median latency of replayed requests" in alone.reason
    none = judge_canary(sample(1000), sample(1000), LIMITS, by_replay=True)
    assert (none.verdict, none.reason) == (
        "inconclusive",
        "too few requests: no replayed request was answered",
    )


def test_a_figure_says_who_counted_it() -> None:
    both = sample(1000), sample(1000)
    own = ["error rate", "median latency", "p95 latency"]
    replayed = [f"{name} of replayed requests" for name in own]
    for by_replay, names in ((False, own), (True, own[:1])):
        found = judge_canary(*both, LIMITS, seen=both, by_replay=by_replay).comparisons
        assert [each.name for each in found] == [*names, *replayed]
        counted_by = ["the pods"] * len(names) + ["the replay"] * 3
        assert [each.seen_by for each in found] == counted_by


def test_interval_of_newcombes_paper() -> None:
    """Table II of Newcombe 1998, method 10: 56/70 against 48/80, 95 % two-sided."""
    limits = AnalysisLimits(1, 0.0, 2.0, 0.975)
    found = error_rates(Sample(80, 48), Sample(70, 56), limits)
    assert (found.lower, found.upper) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_error_rate_bounds_hold_their_confidence() -> None:
    """Of 2,000 canaries that fail 1 % more often than stable, 5 % at most pass as not worse."""
    dice = random.Random(7)
    passed = 0
    for _ in range(2000):
        old = sum(dice.random() < 0.02 for _ in range(600))
        new = sum(dice.random() < 0.03 for _ in range(600))
        passed += error_rates(Sample(600, old), Sample(600, new), LIMITS).verdict == "promote"
    assert passed / 2000 <= 0.06


def test_latency_bounds_hold_the_true_ratio() -> None:
    """The interval of the median of 400 out of one distribution holds 1 nine times in ten."""
    dice = random.Random(7)

    def drawn() -> Sample:
        latency = dict.fromkeys(BOUNDS, 0.0)
        for _ in range(400):
            seconds = dice.lognormvariate(math.log(0.02), 0.5)
            latency[next(bound for bound in BOUNDS if seconds <= bound)] += 1
        return Sample(400, 0, latency)

    found = [latencies("median", drawn(), drawn(), LIMITS) for _ in range(300)]
    assert sum(each.lower <= 1 <= each.upper for each in found) >= 270


def test_quantiles_are_linear_inside_a_bucket() -> None:
    latency = {0.01: 50.0, 0.02: 50.0}
    found = [Sample(100, 0, latency).quantile(share) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert found == pytest.approx([0, 0.005, 0.01, 0.015, 0.02])
    assert math.isinf(Sample(10, 0, {0.1: 1.0, math.inf: 9.0}).quantile(0.5))
    assert Sample().quantile(0.5) == 0


def test_latency_beyond_all_buckets_is_worse() -> None:
    slow = Sample(1000, 0, {**dict.fromkeys(BOUNDS, 0.0), math.inf: 1000.0})
    assert judge_canary(sample(1000), slow, LIMITS).verdict == "abort"


def test_samples_add_up() -> None:
    whole = sample(30, 2) + sample(20, 1, milliseconds=40)
    assert (whole.requests, whole.errors) == (50, 3)
    assert whole - sample(20, 1, milliseconds=40) == sample(30, 2)


counts = st.integers(min_value=1, max_value=5000)


@given(counts, counts, st.data())
def test_intervals_hold_their_estimate(old: int, new: int, data: st.DataObject) -> None:
    stable = sample(old, data.draw(st.integers(0, old)))
    canary = sample(new, data.draw(st.integers(0, new)))
    found = error_rates(stable, canary, LIMITS)
    assert -1 <= found.lower <= found.canary - found.stable <= found.upper <= 1
    for name in ("median", "p95"):
        ratio = latencies(name, stable, canary, LIMITS)
        assert 0 <= ratio.lower <= ratio.canary / ratio.stable <= ratio.upper


@given(counts, st.data())
def test_more_errors_never_turn_a_refusal_into_a_promotion(old: int, data: st.DataObject) -> None:
    few = data.draw(st.integers(0, old))
    many = data.draw(st.integers(few, old))
    order = {"promote": 0, "inconclusive": 1, "abort": 2}
    verdicts = [
        judge_canary(sample(old), sample(old, each), LIMITS).verdict for each in (few, many)
    ]
    assert order[verdicts[0]] <= order[verdicts[1]]


@pytest.mark.parametrize(
    ("share", "stable", "wanted"),
    [(0.2, 1, 1), (0.2, 4, 1), (0.2, 5, 1), (0.2, 8, 2), (0.5, 3, 3), (0.01, 1, 1), (0.33, 6, 3)],
)
def test_canary_pods_make_up_the_share(share: float, stable: int, wanted: int) -> None:
    assert replicas(share, stable) == wanted


def test_figures_for_people() -> None:
    found = error_rates(sample(1000), sample(1000, 20), LIMITS)
    assert figures(found) == ("error rate", "0.00%", "2.00%", "+1.33% to +2.87%", "+1.00%")
    assert describe(found) == ("error rate 2.00%, stable 0.00%; +1.33% to +2.87%, allowed +1.00%")
