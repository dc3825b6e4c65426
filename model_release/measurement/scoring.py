"""One pass over the holdout: both models on the same rows, each row once, in bounded memory."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from model_release.config import ModelConfig
from model_release.errors import ReleaseError, UsageError
from model_release.gates.evidence import Scores, Slice
from model_release.measurement.holdout import HoldoutData
from model_release.measurement.subject import Subject
from model_release.metrics import METRICS, score
from model_release.metrics.bootstrap import PairedSample

if TYPE_CHECKING:
    from model_release.model_process.frames import Array

MAX_SLICES = 1000
MISSING = "(missing)"


def score_holdout(
    data: HoldoutData,
    config: ModelConfig,
    challenger: Subject,
    champion: Subject | None,
) -> Scores:
    """Predict every row once with each model, in parallel; compute all metrics that gates ask for.

    The next batch is read while the models predict the last. A champion that fails is not asked
    again; `Scores.champion_problem` then says why. The caller fills in `champion_version`.

    Raises:
        UsageError: the holdout cannot be read, or a slice column has too many values.
    """
    slices = [_Codes(column) for column in data.slices]
    truth = list(_run(data, [challenger, *([champion] if champion else [])], slices))
    if challenger.problem:
        return Scores(problem=challenger.problem)
    import numpy as np

    truths = np.concatenate(truth)
    names = _metric_names(config)
    try:
        predicted = challenger.predicted()
        measured = score(names, truths, predicted)
    except ReleaseError as error:
        return Scores(rows=len(truths), problem=str(error))
    theirs, champion_measured, problem = _champion(champion, names, truths)
    return Scores(
        rows=len(truths),
        measured=measured,
        claimed=challenger.model.claims.metrics,
        slices=tuple(each for codes in slices for each in codes.scored(config, truths, predicted)),
        champion_measured=champion_measured,
        sample=None if theirs is None else PairedSample(truths, predicted, theirs),
        champion_problem=problem,
    )


def _run(data: HoldoutData, subjects: list[Subject], slices: "list[_Codes]") -> "Iterator[Array]":
    """Have every batch predicted; yields the truth of each."""
    asked = 0
    for batch in data.batches():
        for subject in subjects if asked else ():
            subject.take_answers(asked)
        if subjects[0].problem:
            return
        for subject in subjects:
            subject.send("predict", {"columns": data.columns}, batch.features)
        asked = len(batch.truth)
        for codes, values in zip(slices, batch.slices, strict=True):
            codes.add(values)
        yield batch.truth
    for subject in subjects:
        subject.take_answers(asked)


def _champion(
    champion: Subject | None, names: Sequence[str], truth: "Array"
) -> "tuple[Array | None, dict[str, float], str]":
    if champion is None or champion.problem:
        return None, {}, champion.problem if champion else ""
    try:
        predicted = champion.predicted()
        return predicted, score(names, truth, predicted), ""
    except ReleaseError as error:
        return None, {}, str(error)


def _metric_names(config: ModelConfig) -> list[str]:
    """What gates bound on the holdout, and what they bound of the claims and can be recomputed."""
    claimed = config.gates.claimed_metrics
    task = config.holdout.task if config.holdout else None
    known = [] if claimed.skip else [name for name in claimed.thresholds if name in METRICS]
    return list(dict.fromkeys((*config.metrics, *(n for n in known if METRICS[n].task == task))))


class _Codes:
    """The values of one slice column, each row's as a number."""

    def __init__(self, column: str) -> None:
        self.column = column
        self._codes: dict[str, int] = {}
        self._rows: list[Array] = []

    def add(self, values: "Array") -> None:
        import numpy as np

        plain = (
            MISSING if value is None or value != value else str(value) for value in values.tolist()
        )
        codes = self._codes
        coded = (codes.setdefault(value, len(codes)) for value in plain)
        self._rows.append(np.fromiter(coded, dtype=np.int32, count=len(values)))
        if len(codes) > MAX_SLICES:
            raise UsageError(
                f"slice column {self.column!r} of the holdout",
                expected=f"at most {MAX_SLICES} different values",
                found=f"{len(codes)} and more",
                next_step="name a column of few values under gates.slices.columns",
            )

    def scored(self, config: ModelConfig, truth: "Array", predicted: "Array") -> Iterator[Slice]:
        """The metrics of each value's rows; none for fewer rows than `min_rows`."""
        import numpy as np

        limits = config.gates.slices
        codes = np.concatenate(self._rows)
        for value, code in sorted(self._codes.items()):
            of_value = codes == code
            rows = int(of_value.sum())
            metrics: dict[str, float] = {}
            if rows >= limits.min_rows:
                metrics = _scored_or_none(limits.thresholds, truth[of_value], predicted[of_value])
            yield Slice(self.column, value, rows, metrics)


def _scored_or_none(names: Sequence[str], truth: "Array", predicted: "Array") -> dict[str, float]:
    """No metrics where the rows have none, such as roc_auc of one class; the gate then fails."""
    try:
        return score(names, truth, predicted)
    except UsageError:
        return {}
