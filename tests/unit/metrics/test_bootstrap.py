"""The paired bootstrap, held against scikit-learn on rows that are really drawn."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from model_release.errors import UsageError
from model_release.metrics import METRICS, bootstrap
from model_release.metrics.bootstrap import PairedSample, paired_bootstrap

RESAMPLED = [name for name, metric in METRICS.items() if metric.statistic is not None]
RESAMPLES = 60


def _sample(metric: str, rows: int, seed: int) -> PairedSample:
    random = np.random.default_rng(seed)
    if METRICS[metric].task == "regression":
        truth = random.normal(50, 10, rows)
        return PairedSample(
            truth, truth + random.normal(0, 2, rows), truth + random.normal(0, 1, rows)
        )
    classes = 2 if METRICS[metric].options.get("average") == "binary" else 4
    truth = random.integers(0, classes, rows)
    answers = [
        np.where(random.random(rows) < share, truth, random.integers(0, classes, rows))
        for share in (0.7, 0.8)
    ]
    return PairedSample(truth, *answers)


def _direct(name: str, truth: np.ndarray, predicted: np.ndarray) -> float:
    metric = METRICS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(sklearn_metrics, metric.function)(truth, predicted, **metric.options)


def _worse(name: str, sample: PairedSample, rows: np.ndarray) -> float:
    ours = _direct(name, sample.truth[rows], sample.challenger[rows])
    theirs = _direct(name, sample.truth[rows], sample.champion[rows])
    return theirs - ours if METRICS[name].greater_is_better else ours - theirs


@pytest.mark.parametrize("metric", RESAMPLED)
@pytest.mark.parametrize("rows", [7, 40])
def test_every_metric_equals_scikit_learn_on_the_drawn_rows(metric: str, rows: int) -> None:
    sample = _sample(metric, rows, seed=rows)
    found = paired_bootstrap(sample, metric, confidence=0.9, resamples=RESAMPLES, seed=3)
    drawn = np.random.default_rng(3).integers(0, rows, size=(RESAMPLES, rows))
    worse = [_worse(metric, sample, each) for each in drawn]
    everything = np.arange(rows)
    assert found.challenger == pytest.approx(_direct(metric, sample.truth, sample.challenger))
    assert found.champion == pytest.approx(_direct(metric, sample.truth, sample.champion))
    assert found.regression == pytest.approx(_worse(metric, sample, everything), abs=1e-9)
    assert found.bound == pytest.approx(np.quantile(worse, 0.9, method="higher"), abs=1e-9)


@pytest.mark.parametrize("metric", ["accuracy", "mean_absolute_error"])
def test_blocks_estimate_the_variance_of_rows(metric: str) -> None:
    rows = 40_000
    sample = _sample(metric, rows, seed=1)
    found = paired_bootstrap(sample, metric, confidence=0.95, resamples=4000, seed=0)
    if metric == "accuracy":
        loss = [(answers != sample.truth) * 1.0 for answers in (sample.challenger, sample.champion)]
    else:
        loss = [np.abs(answers - sample.truth) for answers in (sample.challenger, sample.champion)]
    standard_error = np.std(loss[0] - loss[1]) / math.sqrt(rows)
    assert (found.bound - found.regression) / standard_error == pytest.approx(1.645, rel=0.1)


def test_sorted_rows_give_the_bound_of_shuffled_rows() -> None:
    sample = _sample("root_mean_squared_error", 20_000, seed=2)
    order = np.argsort(sample.truth - sample.challenger)
    sorted_sample = PairedSample(
        sample.truth[order], sample.challenger[order], sample.champion[order]
    )
    widths = [
        (each := paired_bootstrap(rows, "r2", confidence=0.95, resamples=2000, seed=0)).bound
        - each.regression
        for rows in (sample, sorted_sample)
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)


@pytest.mark.parametrize("metric", RESAMPLED)
@settings(deadline=None, max_examples=5)
@given(rows=st.integers(2, 80), seed=st.integers(0, 1000))
def test_a_model_is_never_worse_than_itself(metric: str, rows: int, seed: int) -> None:
    sample = _sample(metric, rows, seed)
    if METRICS[metric].options.get("average") == "binary":
        sample.truth[0] = 1
    same = PairedSample(sample.truth, sample.challenger, sample.challenger.copy())
    found = paired_bootstrap(same, metric, confidence=0.99, resamples=200, seed=seed)
    assert found.regression == pytest.approx(0, abs=1e-9)
    assert found.bound == pytest.approx(0, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(10, 80), seed=st.integers(0, 1000))
def test_more_confidence_never_lowers_the_bound(rows: int, seed: int) -> None:
    sample = _sample("f1_macro", rows, seed)
    bounds = [
        paired_bootstrap(sample, "f1_macro", confidence=confidence, resamples=300, seed=0).bound
        for confidence in (0.6, 0.9, 0.99)
    ]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("metric", ["f1_macro", "r2"])
def test_memory_bound_chunks_change_nothing(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = _sample(metric, 100, seed=4)
    whole = paired_bootstrap(sample, metric, confidence=0.95, resamples=500, seed=1)
    monkeypatch.setattr(bootstrap, "NUMBERS_AT_ONCE", 2_000)
    # 20 columns of labels leave 100 blocks for 2,000 numbers: the same draws, ten at a time.
    chunked = paired_bootstrap(sample, metric, confidence=0.95, resamples=500, seed=1)
    assert chunked == whole


def test_labels_may_be_text_and_numbers_may_be_whole() -> None:
    truth = np.array(["cat", "dog", "cat", "cow"], dtype=object)
    sample = PairedSample(truth, np.array(["cat", "dog", "cow", "cow"]), truth)
    found = paired_bootstrap(sample, "accuracy", confidence=0.95, resamples=200, seed=0)
    assert (found.challenger, found.champion, found.regression) == (0.75, 1.0, 0.25)
    numbers = PairedSample(np.array([1, 2, 3]), np.array([1, 2, 4]), np.array([1.5, 2.0, 3.0]))
    found = paired_bootstrap(numbers, "mean_squared_error", confidence=0.9, resamples=200, seed=0)
    assert found.challenger == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("truth", "challenger", "champion"),
    [
        ([0.0, 1.0, math.nan], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]),
        ([0.0, 1.0, 1.0], [0.0, 1.0, math.nan], [0.0, 1.0, 1.0]),
        ([0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, math.inf, 1.0]),
    ],
)
@pytest.mark.parametrize("metric", ["accuracy", "r2"])
def test_a_gap_anywhere_leaves_no_bound(
    truth: list[Any], challenger: list[Any], champion: list[Any], metric: str
) -> None:
    sample = PairedSample(np.array(truth), np.array(challenger), np.array(champion))
    found = paired_bootstrap(sample, metric, confidence=0.95, resamples=200, seed=0)
    assert math.isnan(found.bound)
    assert math.isnan(found.regression)


def test_a_binary_metric_of_other_classes_leaves_no_bound() -> None:
    labels = np.array(["no", "yes", "no"])
    sample = PairedSample(labels, labels, labels)
    found = paired_bootstrap(sample, "f1", confidence=0.95, resamples=200, seed=0)
    assert math.isnan(found.bound)


@pytest.mark.parametrize(
    ("metric", "lengths"),
    [("roc_auc", (3, 3, 3)), ("max_error", (3, 3, 3)), ("accuracy", (3, 2, 3)), ("r2", (0, 0, 0))],
)
def test_what_cannot_be_resampled_is_said(metric: str, lengths: tuple[int, ...]) -> None:
    sample = PairedSample(*(np.zeros(length) for length in lengths))
    with pytest.raises(UsageError, match=f"{metric} cannot be compared"):
        paired_bootstrap(sample, metric, confidence=0.95, resamples=200, seed=0)
