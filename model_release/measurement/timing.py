"""Timing of rows: one by one, and in batches."""

from collections.abc import Sequence

from model_release.measurement.subject import Subject
from model_release.model_process.client import ModelError
from model_release.model_process.frames import Array

TIMED_BATCHES = 20
TIMED_SECONDS = 5.0
"""How many batches are timed; after so many seconds fewer rows and batches have to do."""


def time_rows(
    subject: Subject,
    columns: Sequence[str],
    rows: Sequence[Array],
    *,
    single: int,
    batch_rows: int,
) -> tuple[Array, Array, Array, Array]:
    """Time `single` rows alone and batches of `batch_rows`, after one of each that is not timed.

    Args:
        subject: the loaded model.
        columns: names of the features.
        rows: the features; none for the rows of the model's own input example.
        single: calls with one row.
        batch_rows: rows of a batch; the rows are repeated where there are fewer.

    Returns:
        milliseconds of the single calls and of the batches; answers to rows alone, and to the same
        rows when all are asked together.

    Raises:
        ModelError: the model did not answer.
    """
    header = {
        "columns": list(columns),
        "single": single + 1,
        "batch_rows": batch_rows,
        "batches": TIMED_BATCHES + 1,
        "seconds": TIMED_SECONDS,
    }
    frame = subject.ask("time", header, rows)
    if len(frame.arrays) != 4 or any(array.dtype.kind != "f" for array in frame.arrays[:2]):
        raise ModelError("the model's process answered nonsense to the command to time rows")
    single_ms, batch_ms, alone, together = frame.arrays
    return single_ms, batch_ms, alone, together
