"""The metrics that can be measured, under scikit-learn's names.

scikit-learn and numpy are imported where they are used: a configuration needs the names only.
"""

# mypy: disable-error-code="no-any-return"
# numpy types what its reductions return as Any.

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from model_release.errors import UsageError
from model_release.metrics.labels import as_answers, count_rows, has_gaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Counts:
    """Rows per class, as arrays of shape (samples, classes): all that a label metric depends on."""

    hits: "NDArray[Any]"
    truths: "NDArray[Any]"
    answers: "NDArray[Any]"
    positive: int | None
    """Column of the positive class, as `encode_labels` gives it."""


@dataclass(frozen=True)
class Sums:
    """Sums over rows, as arrays of shape (samples,): all that an additive metric depends on.

    `truth` and `truth_squared` are of the truth less its mean over the whole holdout.
    """

    rows: "NDArray[Any]"
    truth: "NDArray[Any]"
    truth_squared: "NDArray[Any]"
    absolute_error: "NDArray[Any]"
    squared_error: "NDArray[Any]"
    relative_error: "NDArray[Any]"


@dataclass(frozen=True)
class Metric:
    """A metric and what has to be known about it to judge it.

    `function` and `options` call scikit-learn. `statistic` computes the same from `Counts` or
    `Sums`, one value a sample; None where the metric does not follow from sums, so that it cannot
    be resampled.
    `has_unit` is true for errors on the scale of the target.
    """

    name: str
    task: Task
    greater_is_better: bool
    function: str
    options: Mapping[str, Any] = field(default_factory=dict)
    statistic: "Callable[[Any], NDArray[Any]] | None" = None
    has_unit: bool = False
    of_probabilities: bool = False


def _accuracy(counts: Counts) -> "NDArray[Any]":
    return counts.hits.sum(-1) / counts.truths.sum(-1).clip(min=1)


def _balanced_accuracy(counts: Counts) -> "NDArray[Any]":
    recall = counts.hits / counts.truths.clip(min=1)
    return recall.sum(-1) / (counts.truths > 0).sum(-1).clip(min=1)


def _matthews_corrcoef(counts: Counts) -> "NDArray[Any]":
    rows = counts.truths.sum(-1)
    both = counts.hits.sum(-1) * rows - (counts.truths * counts.answers).sum(-1)
    spread = (rows**2 - (counts.truths**2).sum(-1)) * (rows**2 - (counts.answers**2).sum(-1))
    return both / spread.clip(min=1) ** 0.5


def _per_class(quotient: str, counts: Counts) -> "NDArray[Any]":
    if quotient == "precision":
        return counts.hits / counts.answers.clip(min=1)
    if quotient == "recall":
        return counts.hits / counts.truths.clip(min=1)
    return 2 * counts.hits / (counts.truths + counts.answers).clip(min=1)


def _averaged(quotient: str, average: str) -> "Callable[[Counts], NDArray[Any]]":
    """Precision, recall or F1 of the positive class, or averaged as scikit-learn does."""

    def statistic(counts: Counts) -> "NDArray[Any]":
        if average == "micro":
            return _accuracy(counts)
        values = _per_class(quotient, counts)
        if average == "binary":
            none = values[..., 0] * math.nan
            return none if counts.positive is None else values[..., counts.positive]
        weights = counts.truths if average == "weighted" else counts.truths + counts.answers > 0
        return (values * weights).sum(-1) / weights.sum(-1).clip(min=1)

    return statistic


def _r2(sums: Sums) -> "NDArray[Any]":
    spread = sums.truth_squared - sums.truth**2 / sums.rows
    constant = spread <= 1e-12 * sums.truth_squared
    explained = 1 - sums.squared_error / (spread + constant)
    # scikit-learn's answers for a constant truth: 1 when it is met exactly, else 0.
    return explained * ~constant + (constant & (sums.squared_error == 0))


def _table() -> Iterable[Metric]:
    labels: Task = "classification"
    numbers: Task = "regression"
    yield Metric("accuracy", labels, True, "accuracy_score", statistic=_accuracy)
    yield Metric(
        "balanced_accuracy", labels, True, "balanced_accuracy_score", statistic=_balanced_accuracy
    )
    for quotient in ("f1", "precision", "recall"):
        for average in ("binary", "macro", "micro", "weighted"):
            name = quotient if average == "binary" else f"{quotient}_{average}"
            options = {"average": average, "zero_division": 0}
            statistic = _averaged(quotient, average)
            yield Metric(name, labels, True, f"{quotient}_score", options, statistic)
    yield Metric(
        "matthews_corrcoef", labels, True, "matthews_corrcoef", statistic=_matthews_corrcoef
    )
    yield Metric("log_loss", labels, False, "log_loss", of_probabilities=True)
    yield Metric("roc_auc", labels, True, "roc_auc_score", of_probabilities=True)
    yield Metric("r2", numbers, True, "r2_score", statistic=_r2)
    additive: dict[str, Callable[[Any], NDArray[Any]]] = {
        "mean_absolute_error": lambda sums: sums.absolute_error / sums.rows,
        "mean_squared_error": lambda sums: sums.squared_error / sums.rows,
        "root_mean_squared_error": lambda sums: (sums.squared_error / sums.rows) ** 0.5,
    }
    for name, statistic in additive.items():
        yield Metric(name, numbers, False, name, statistic=statistic, has_unit=True)
    name = "mean_absolute_percentage_error"
    yield Metric(name, numbers, False, name, statistic=lambda sums: sums.relative_error / sums.rows)
    yield Metric("median_absolute_error", numbers, False, "median_absolute_error", has_unit=True)
    yield Metric("max_error", numbers, False, "max_error", has_unit=True)


METRICS: dict[str, Metric] = {metric.name: metric for metric in _table()}


def score(
    names: Iterable[str], truth: "NDArray[Any]", predicted: "NDArray[Any]"
) -> dict[str, float]:
    """Compute metrics with scikit-learn.

    Args:
        names: keys of `METRICS`.
        truth: n labels or numbers.
        predicted: n answers, or probabilities of shape (n, k) in the order of the sorted classes.

    Returns:
        the metrics by name; all NaN when a value is missing, NaN or infinite: no gate passes that.

    Raises:
        UsageError: no rows, another number of answers, or a metric that these values do not have.
    """
    if not len(truth) or len(truth) != len(predicted):
        raise UsageError(
            "predictions cannot be scored",
            expected=f"{len(truth)} answers, and at least one",
            found=str(len(predicted)),
            next_step="change the model so that it answers one value per row",
        )
    if has_gaps(truth) or has_gaps(predicted):
        return dict.fromkeys(names, math.nan)
    pairs = cache(lambda: _weighted_pairs(truth, predicted))
    return {name: _score_one(METRICS[name], truth, predicted, pairs) for name in names}


def _score_one(
    metric: Metric,
    truth: "NDArray[Any]",
    predicted: "NDArray[Any]",
    pairs: Callable[[], dict[str, Any]],
) -> float:
    from sklearn import metrics as sklearn_metrics

    function = getattr(sklearn_metrics, metric.function)
    try:
        with warnings.catch_warnings():
            # Undefined quotients (a class that is never predicted) warn; their value, 0, is meant.
            warnings.simplefilter("ignore")
            if metric.of_probabilities:
                return float(function(**_probabilities(metric, truth, predicted)))
            if metric.task == "classification":
                return float(function(**pairs(), **metric.options))
            return float(function(truth, as_answers(metric.task, truth, predicted)))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{metric.name} cannot be computed from these predictions",
            found=str(error).rstrip("."),
            next_step="name a metric in models/<name>.yaml that fits what the model answers",
        ) from error


def _weighted_pairs(truth: "NDArray[Any]", predicted: "NDArray[Any]") -> dict[str, Any]:
    """Labels as scikit-learn takes them: each pair of truth and answer once, with its count."""
    answers = as_answers("classification", truth, predicted)
    (true_labels, labels), counts = count_rows(truth, answers)
    return {"y_true": true_labels, "y_pred": labels, "sample_weight": counts}


def _probabilities(
    metric: Metric, truth: "NDArray[Any]", predicted: "NDArray[Any]"
) -> dict[str, Any]:
    """Probabilities as scikit-learn takes them, in the order of the sorted classes of the truth."""
    import numpy as np

    if predicted.dtype.kind != "f":
        raise ValueError("labels where probabilities are needed")
    if metric.name == "log_loss":
        return {"y_true": truth, "y_pred": predicted, "labels": np.sort(count_rows(truth)[0][0])}
    two = predicted.ndim == 2 and predicted.shape[1] == 2
    positive = predicted[:, 1] if two else predicted
    return {"y_true": truth, "y_score": positive, "multi_class": "ovr"}
