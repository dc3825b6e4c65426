"""Champion: not worse, with a confidence, on enough rows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_release.gates.champion import Limits, judge
from model_release.gates.evidence import Scores
from model_release.metrics.bootstrap import PairedSample


def _scores(rows: int, wrong: int, champion_wrong: int = 0) -> Scores:
    """A holdout of two classes; the first `wrong` rows are answered wrongly."""
    truth = np.arange(rows) % 2
    number = np.arange(rows)
    sample = PairedSample(
        truth,
        np.where(number < wrong, 1 - truth, truth),
        np.where(number < champion_wrong, 1 - truth, truth),
    )
    return Scores(rows, champion_version="4", sample=sample)


def _limits(margin: float, **others: object) -> Limits:
    return Limits.model_validate({"max_regression": {"accuracy": margin}, **others})


def test_as_good_a_model_passes_and_the_report_names_both() -> None:
    outcome = judge(_scores(200, 10, 10), _limits(0.0))
    assert outcome.status == "passed"
    assert outcome.required == "at most worse by accuracy 0, with 95% confidence"
    assert outcome.found == (
        "accuracy 0.95 against 0.95, worse by 0 at most (champion version 4, 200 rows)"
    )
    assert outcome.facts == (
        ("champion_accuracy", 0.95),
        ("regression_accuracy", 0.0),
        ("regression_bound_accuracy", 0.0),
        ("regression_low_accuracy", 0.0),
    )


@pytest.mark.parametrize(
    ("wrong", "champion_wrong", "margin", "status"),
    [
        (0, 20, 0.0, "passed"),
        (10, 0, 0.0, "failed"),
        # 5 in 200 is worse by 0.025; that it is under 0.03 cannot be said with confidence.
        (5, 0, 0.03, "failed"),
        (5, 0, 0.06, "passed"),
    ],
)
def test_worse_within_the_margin_needs_confidence(
    wrong: int, champion_wrong: int, margin: float, status: str
) -> None:
    assert judge(_scores(200, wrong, champion_wrong), _limits(margin)).status == status


def test_more_rows_make_the_same_regression_acceptable() -> None:
    assert judge(_scores(200, 5), _limits(0.03)).status == "failed"
    assert judge(_scores(20_000, 500), _limits(0.03)).status == "passed"


def test_every_metric_has_to_hold() -> None:
    both = Limits.model_validate({"max_regression": {"accuracy": 0.5, "f1_macro": 0.001}})
    assert judge(_scores(200, 10), both).status == "failed"


@settings(deadline=None, max_examples=40)
@given(
    wrong=st.integers(0, 40),
    champion_wrong=st.integers(0, 40),
    margins=st.tuples(st.floats(0, 0.3), st.floats(0, 0.3)),
)
def test_a_wider_margin_never_fails_what_a_narrower_one_passes(
    wrong: int, champion_wrong: int, margins: tuple[float, float]
) -> None:
    scores = _scores(120, wrong, champion_wrong)
    narrow, wide = (
        judge(scores, _limits(margin, resamples=200)).status for margin in sorted(margins)
    )
    assert (narrow, wide) != ("passed", "failed")


def test_too_few_rows_say_nothing() -> None:
    outcome = judge(_scores(30, 0), _limits(0.5))
    assert (outcome.status, outcome.found) == ("failed", "30 rows, at least 100 wanted")
    assert judge(_scores(30, 0), _limits(0.5, min_rows=30)).status == "passed"


@pytest.mark.parametrize(("choice", "status"), [("pass", "passed"), ("fail", "failed")])
def test_no_champion_is_a_choice_and_said(choice: str, status: str) -> None:
    outcome = judge(Scores(200), _limits(0.1, when_no_champion=choice))
    assert outcome.status == status
    assert outcome.found.startswith("no champion yet")


def test_no_champion_fails_by_default() -> None:
    assert judge(Scores(200), _limits(0.1)).status == "failed"


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        (Scores(200, champion_version="4"), "champion version 4 was not scored: no answers"),
        (
            Scores(200, champion_version="4", champion_problem="died"),
            "champion version 4 was not scored: died",
        ),
        (
            Scores(200, champion_problem="registry is down"),
            "champion version unknown was not scored: registry is down",
        ),
        (Scores(200, champion_version="4", problem="challenger died"), "challenger died"),
        (Scores(200, problem="no champion, and this"), "no champion, and this"),
    ],
)
def test_an_unreadable_champion_is_never_a_pass(scores: Scores, found: str) -> None:
    outcome = judge(scores, _limits(1.0, when_no_champion="pass"))
    assert (outcome.status, outcome.found) == ("failed", found)


@pytest.mark.parametrize("which", ["challenger", "champion"])
def test_answers_that_are_no_numbers_fail_whatever_the_margin(which: str) -> None:
    truth = np.linspace(0, 1, 200)
    answers = {"challenger": truth.copy(), "champion": truth.copy()}
    answers[which][7] = math.nan
    scores = Scores(200, champion_version="4", sample=PairedSample(truth, **answers))
    limits = Limits.model_validate({"max_regression": {"r2": 1e9}})
    assert judge(scores, limits).status == "failed"


def test_rounding_of_large_sums_fails_no_model_against_itself() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(1e9, 1e8, 500)
    answers = truth + random.normal(0, 1e7, 500)
    scores = Scores(500, champion_version="4", sample=PairedSample(truth, answers, answers.copy()))
    limits = Limits.model_validate({"max_regression": {"mean_squared_error": 0.0, "r2": 0.0}})
    assert judge(scores, limits).status == "passed"
