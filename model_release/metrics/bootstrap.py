"""Is the challenger worse than the champion? Paired bootstrap over the rows that both answered.

numpy is imported where it is used: evidence and configuration name these types without needing it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_release.errors import UsageError
from model_release.metrics import METRICS, Counts, Sums
from model_release.metrics.labels import as_answers, encode_labels, has_gaps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCKS = 4096
"""Rows are resampled one by one up to this number, above it in as many equal blocks."""

NUMBERS_AT_ONCE = 4_000_000
"""Bounds the memory: about as many float64 values are held at once, besides the sample itself."""

FEWEST_BLOCKS = 64
"""What the memory is exceeded for, should there be tens of thousands of classes."""


@dataclass(frozen=True)
class PairedSample:
    """Truth and both models' answers on the same rows, as arrays of the same length."""

    truth: "NDArray[Any]"
    challenger: "NDArray[Any]"
    champion: "NDArray[Any]"


@dataclass(frozen=True)
class PairedDifference:
    """A metric of both models, and how much worse the challenger is (negative: better).

    `bound` is the upper one-sided confidence bound of `regression`, `low` the lower one of the same
    confidence. All in the metric's own unit.
    """

    challenger: float
    champion: float
    regression: float
    bound: float
    low: float


def paired_bootstrap(
    sample: PairedSample, metric: str, *, confidence: float, resamples: int, seed: int
) -> PairedDifference:
    """Bound how much worse the challenger is, by the percentile bootstrap over paired rows.

    Each resample draws as many rows as there are, with replacement, and scores both models on the
    same draw (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13). The caller
    holds the bound against a margin: a non-inferiority test (Piaggio et al. 2012, CONSORT).
    What is drawn are sums that the metric follows from, not rows; above `BLOCKS` rows (fewer when
    there are over 200 classes) they are sums over equal random blocks of rows, whose draws have
    the same variance, estimated to sqrt(2 / blocks) of itself.

    Args:
        sample: n rows; answers as `metrics.score` takes them.
        metric: a name in `METRICS` whose metric can be resampled.
        confidence: one-sided, between 0 and 1.
        resamples: number of draws.
        seed: of the random numbers; the same seed gives the same bound.

    Returns:
        the difference; all NaN when a value is missing, NaN or infinite.

    Raises:
        UsageError: the metric cannot be resampled, or the sample has no rows or unequal lengths.
    """
    import numpy as np

    known = METRICS[metric]
    columns = (sample.truth, sample.challenger, sample.champion)
    if known.statistic is None or not len(sample.truth) or len({len(c) for c in columns}) > 1:
        raise UsageError(
            f"{metric} cannot be compared by resampling",
            expected="an additive metric and three equally long columns",
            found=f"lengths {', '.join(str(len(column)) for column in columns)}",
            next_step="name another metric under gates.champion.max_regression",
        )
    if any(has_gaps(column) for column in columns):
        return PairedDifference(*[np.nan] * 5)
    truth = sample.truth
    challenger, champion = (as_answers(known.task, truth, column) for column in columns[1:])
    random = np.random.default_rng(seed)
    tabled = _counts if known.task == "classification" else _sums
    table, models = tabled(truth, challenger, champion, random)
    values = [
        [known.statistic(model) for model in models(totals)]
        for totals in _totals(table, random, resamples)
    ]
    ours, theirs = (np.concatenate(column) for column in zip(*values, strict=True))
    worse = theirs - ours if known.greater_is_better else ours - theirs
    bound = np.quantile(worse[1:], confidence, method="higher")
    low = np.quantile(worse[1:], 1 - confidence, method="lower")
    return PairedDifference(
        float(ours[0]), float(theirs[0]), float(worse[0]), float(bound), float(low)
    )


def _totals(
    table: "NDArray[Any]", random: "np.random.Generator", resamples: int
) -> "Iterator[NDArray[Any]]":
    """Column sums of the table (blocks, columns): once of all blocks, then of draws of as many.

    Yields:
        arrays of shape (1, columns), then (draws, columns) until there are `resamples` draws.
    """
    import numpy as np

    blocks, width = table.shape
    yield table.sum(axis=0, keepdims=True)
    at_once = max(1, NUMBERS_AT_ONCE // (2 * max(blocks, width)))
    for start in range(0, resamples, at_once):
        draws = min(at_once, resamples - start)
        drawn = random.integers(0, blocks, size=(draws, blocks))
        drawn += np.arange(draws)[:, np.newaxis] * blocks
        weights = np.bincount(drawn.ravel(), minlength=draws * blocks)
        yield weights.reshape(draws, blocks).astype(np.float64) @ table


def _blocks(rows: int, width: int, random: "np.random.Generator") -> "tuple[NDArray[Any], int]":
    """The block of each row, and how many blocks there are for a table of `width` columns.

    Blocks are made at random: rows that lie side by side in a holdout may be alike.
    """
    import numpy as np

    blocks = min(rows, BLOCKS, max(FEWEST_BLOCKS, NUMBERS_AT_ONCE // width))
    place = np.arange(rows) if blocks == rows else random.permutation(rows) % blocks
    return place, blocks


Models = Callable[["NDArray[Any]"], tuple[Counts, Counts] | tuple[Sums, Sums]]
"""From column sums to what a metric's statistic takes, of the challenger and of the champion."""


def _counts(
    truth: "NDArray[Any]",
    challenger: "NDArray[Any]",
    champion: "NDArray[Any]",
    random: "np.random.Generator",
) -> "tuple[NDArray[Any], Models]":
    """Rows per block and class: of the truth, of each model's answers, and of its hits."""
    import numpy as np

    (true, first, second), positive, classes = encode_labels(truth, challenger, champion)
    place, blocks = _blocks(len(true), 5 * classes, random)

    def count(codes: "NDArray[Any]", among: "NDArray[Any] | slice") -> "NDArray[Any]":
        cells = np.bincount((place * classes + codes)[among], minlength=blocks * classes)
        return cells.reshape(blocks, classes).astype(np.float64)

    every = slice(None)
    parts = (
        count(true, every),
        *(count(first, every), count(first, first == true)),
        *(count(second, every), count(second, second == true)),
    )

    def models(totals: "NDArray[Any]") -> tuple[Counts, Counts]:
        truths, answers, hits, others, other_hits = np.split(totals, len(parts), axis=1)
        return (
            Counts(hits, truths, answers, positive),
            Counts(other_hits, truths, others, positive),
        )

    return np.concatenate(parts, axis=1), models


def _sums(
    truth: "NDArray[Any]",
    challenger: "NDArray[Any]",
    champion: "NDArray[Any]",
    random: "np.random.Generator",
) -> "tuple[NDArray[Any], Models]":
    """Sums over the rows of each block, as `Sums` names them: truth, then each model's errors."""
    import numpy as np

    truth = truth.astype(np.float64)
    centred = truth - truth.mean()
    place, blocks = _blocks(len(truth), 9, random)
    columns: list[NDArray[Any]] = [np.bincount(place, minlength=blocks)]
    columns += [np.bincount(place, values, blocks) for values in (centred, centred**2)]
    floor = np.finfo(np.float64).eps  # as scikit-learn's mean_absolute_percentage_error
    for answers in (challenger, champion):
        error = np.abs(truth - answers.astype(np.float64))
        relative = error / np.maximum(np.abs(truth), floor)
        columns += [np.bincount(place, values, blocks) for values in (error, error**2, relative)]

    def models(totals: "NDArray[Any]") -> tuple[Sums, Sums]:
        rows, first, squared, *errors = totals.T
        return Sums(rows, first, squared, *errors[:3]), Sums(rows, first, squared, *errors[3:])

    return np.stack(columns, axis=1), models
