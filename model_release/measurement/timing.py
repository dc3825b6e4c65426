"""What a loaded model is asked beside the holdout: rows to time, and golden requests."""

from collections.abc import Sequence
from typing import Any

from model_release.gates.evidence import Golden
from model_release.measurement.rows import scoring_request
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


def ask_golden(subject: Subject, columns: Sequence[str], rows: Sequence[Array]) -> Golden:
    """Ask the model's own input example, and these rows, over MLflow's scoring protocol."""
    requests: dict[str, Any] = {}
    try:
        if (example := subject.candidate.example) is not None:
            requests["input example"] = example
        if rows:
            requests["holdout"] = scoring_request(columns, rows)
        frame = subject.ask("golden", {"requests": list(requests.values())})
        answers = dict(zip(requests, frame.header["predictions"], strict=True))
    except (ModelError, ValueError, KeyError, TypeError) as error:
        return Golden((), problem=str(error))
    return Golden(
        tuple(
            {"name": name, "request": request, "predictions": answers[name]}
            for name, request in requests.items()
        )
    )
