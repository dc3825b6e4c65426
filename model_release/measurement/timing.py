"""Timing of rows, one by one and in batches: by the pipeline's clock, around each exchange."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model_release.measurement.subject import Subject
from model_release.model_process.client import ModelError
from model_release.model_process.frames import Array

TIMED_BATCHES = 20
TIMED_SECONDS = 5.0
"""How many batches are timed; after so many seconds fewer rows and batches have to do."""

FEWEST = 6
"""So many calls are made however long they take; the first is not timed."""


@dataclass(frozen=True)
class Timed:
    """Milliseconds of calls with one row and with a batch; answers to rows alone and together."""

    single_ms: tuple[float, ...]
    batch_ms: tuple[float, ...]
    alone: Array
    together: Array


def time_rows(
    subject: Subject, columns: Sequence[str], rows: Sequence[Array], *, single: int, batch_rows: int
) -> Timed:
    """Time `single` rows alone and batches of `batch_rows`, after one of each that is not timed.

    A time is that of an exchange: it holds what the two processes need to speak to each other,
    some 0.2 ms, beside the prediction. Nothing is subtracted.

    Args:
        subject: the loaded model.
        columns: names of the features.
        rows: the features; none for the rows of the model's own input example.
        single: calls with one row.
        batch_rows: rows of a batch; the rows are repeated where there are fewer.

    Raises:
        ModelError: the model did not answer.
    """
    held = subject.hold(columns, rows, batch_rows)
    _, together = subject.ask_held(held, held)
    answered = list(_calls(subject, (row % held for row in range(single + 1)), 1))
    batches = _calls(subject, (held + 1,) * (TIMED_BATCHES + 1), batch_rows)
    try:
        alone = np.concatenate([answer for _, answer in answered[:held]])
    except (ValueError, TypeError) as error:
        raise ModelError(f"single rows are answered in different shapes: {error}") from error
    return Timed(
        single_ms=_milliseconds(answered),
        batch_ms=_milliseconds(batches),
        alone=alone,
        together=together[: len(alone)],
    )


def _calls(subject: Subject, places: Iterable[int], rows: int) -> Iterator[tuple[float, Array]]:
    """Ask for what is held at these places, until the time is up."""
    deadline = time.monotonic() + TIMED_SECONDS
    for number, place in enumerate(places, 1):
        yield subject.ask_held(place, rows)
        if number >= FEWEST and time.monotonic() > deadline:
            return


def _milliseconds(calls: Iterable[tuple[float, Array]]) -> tuple[float, ...]:
    """The times of all calls but the first."""
    seconds = [seconds for seconds, _ in calls]
    return tuple(1e3 * each for each in seconds[1:] or seconds)
