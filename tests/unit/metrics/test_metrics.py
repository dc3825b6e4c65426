"""Metrics: scikit-learn's values, and NaN or one line where there is none."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from model_release.errors import UsageError
from model_release.metrics import METRICS, score

LABELS = [name for name, metric in METRICS.items() if metric.task == "classification"]
NUMBERS = [name for name, metric in METRICS.items() if metric.task == "regression"]
OF_LABELS = [name for name in LABELS if not METRICS[name].of_probabilities]
OF_MANY_CLASSES = [name for name in OF_LABELS if name not in ("f1", "precision", "recall")]

pairs_of_labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)
pairs_of_numbers = st.lists(
    st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=60
)


def _direct(name: str, truth: np.ndarray, predicted: np.ndarray) -> float:
    metric = METRICS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(sklearn_metrics, metric.function)(truth, predicted, **metric.options)


@pytest.mark.parametrize("as_type", [int, float, str, object])
@settings(deadline=None, max_examples=15)
@given(pairs=pairs_of_labels)
def test_labels_score_as_scikit_learn_scores_all_rows(
    as_type: type, pairs: list[tuple[Any, Any]]
) -> None:
    truth, predicted = np.array(pairs).T.astype(as_type)
    expected = {name: _direct(name, *np.array(pairs).T) for name in OF_MANY_CLASSES}
    assert score(OF_MANY_CLASSES, truth, predicted) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=15)
@given(pairs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1))
def test_two_classes_have_all_label_metrics(pairs: list[tuple[Any, Any]]) -> None:
    truth, predicted = np.array(pairs).T
    expected = {name: _direct(name, truth, predicted) for name in OF_LABELS}
    assert score(OF_LABELS, truth, predicted) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=15)
@given(pairs=pairs_of_numbers)
def test_numbers_score_as_scikit_learn_scores_them(pairs: list[tuple[Any, Any]]) -> None:
    truth, predicted = np.array(pairs).T
    expected = {name: _direct(name, truth, predicted) for name in NUMBERS}
    assert score(NUMBERS, truth, predicted) == pytest.approx(expected, rel=1e-12)


def test_probabilities_are_scored_as_such_and_as_their_likeliest_label() -> None:
    truth = np.array(["a", "b", "c", "c"])
    predicted = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0, 0.1, 0.9], [0.2, 0.2, 0.6]])
    found = score(["accuracy", "log_loss", "roc_auc"], truth, predicted)
    assert found == pytest.approx(
        {
            "accuracy": 0.75,
            "log_loss": -(math.log(0.7) + math.log(0.3) + math.log(0.9) + math.log(0.6)) / 4,
            "roc_auc": sklearn_metrics.roc_auc_score(truth, predicted, multi_class="ovr"),
        }
    )


def test_probabilities_of_two_classes_may_be_one_column_or_two() -> None:
    truth = np.array([0, 1, 1, 0])
    positive = np.array([0.2, 0.7, 0.4, 0.5])
    two = np.stack([1 - positive, positive], axis=1)
    names = ["log_loss", "roc_auc"]
    assert score(names, truth, two) == pytest.approx(score(names, truth, positive))
    assert score(["roc_auc"], truth, positive) == {"roc_auc": 0.75}


def test_one_column_of_numbers_is_an_answer_a_row() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    assert score(["max_error"], truth, np.array([[1.0], [2.0], [5.0]])) == {"max_error": 2.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["accuracy", "r2"])
def test_a_prediction_that_is_no_number_makes_the_metric_nan(bad: float, name: str) -> None:
    truth, predicted = np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, bad])
    assert math.isnan(score([name], truth, predicted)[name])


def test_a_missing_label_makes_the_metric_nan() -> None:
    truth = np.array(["a", "b"], dtype=object)
    assert math.isnan(score(["accuracy"], truth, np.array(["a", None], dtype=object))["accuracy"])


@pytest.mark.parametrize(
    ("name", "truth", "predicted", "says"),
    [
        ("accuracy", [], [], "at least one"),
        ("accuracy", [1, 0], [1], "expected 2 answers"),
        ("f1", [0, 1, 2], [0, 1, 2], "f1 cannot be computed"),
        ("accuracy", [0, 1], [0.5, 0.7], "accuracy cannot be computed"),
        ("accuracy", [0, 1], ["0", "1"], "accuracy cannot be computed"),
        ("accuracy", ["1", "a"], np.array([1, "a"], dtype=object), "accuracy cannot be computed"),
        ("roc_auc", [0, 1], [0, 1], "probabilities are needed"),
        ("accuracy", [0, 1], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], "shape (2, 3)"),
        ("r2", [0.5, 1.0], [[1.0, 2.0], [1.0, 2.0]], "shape (2, 2)"),
        ("r2", [0.5, 1.0], ["low", "high"], "r2 cannot be computed"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line(
    name: str, truth: list[Any], predicted: list[Any], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        score([name], np.array(truth), np.array(predicted))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
