"""Columns of labels and answers: counted, numbered, and searched for gaps.

numpy is imported where it is used: a configuration needs none.
"""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from model_release.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 65_536
"""Rows that are turned into Python objects at once."""


def count_rows(*columns: "NDArray[Any]") -> "tuple[list[NDArray[Any]], NDArray[Any]]":
    """The distinct rows of equally long columns of labels, and how often each occurs.

    Labels are equal when Python says so: 1, 1.0 and True are one class.

    Returns:
        one array a column (its distinct rows, the column's dtype), and the counts as float64.
    """
    import numpy as np

    seen: Counter[tuple[Any, ...]] = Counter()
    for start in range(0, len(columns[0]), CHUNK):
        seen.update(
            zip(*(column[start : start + CHUNK].tolist() for column in columns), strict=True)
        )
    distinct = [
        _as_column([row[place] for row in seen], column.dtype)
        for place, column in enumerate(columns)
    ]
    return distinct, np.array(list(seen.values()), dtype=np.float64)


def _as_column(labels: list[Any], dtype: "np.dtype[Any]") -> "NDArray[Any]":
    """Labels as scikit-learn wants them: of one type, unless they truly are of several."""
    import numpy as np

    if dtype.kind == "O" and len({isinstance(label, str) for label in labels}) == 1:
        return np.array(labels)
    return np.array(labels, dtype=dtype)


def encode_labels(*columns: "NDArray[Any]") -> "tuple[list[NDArray[Any]], int | None, int]":
    """Columns of labels as numbers from 0, the same label as the same number in each of them.

    Returns:
        one int64 array a column, the number of class 1 (None unless at most two classes occur, 1
        among them: the positive one of a binary metric), and the number of classes.
    """
    import numpy as np

    codes: defaultdict[Any, int] = defaultdict()
    codes.default_factory = codes.__len__
    encoded = [np.empty(len(column), dtype=np.int64) for column in columns]
    for column, numbers in zip(columns, encoded, strict=True):
        for start in range(0, len(column), CHUNK):
            labels = column[start : start + CHUNK].tolist()
            numbers[start : start + CHUNK] = list(map(codes.__getitem__, labels))
    positive = codes.get(1) if len(codes) <= 2 else None
    return encoded, positive, len(codes)


def has_gaps(values: "NDArray[Any]") -> bool:
    """Whether any value is missing, NaN or infinite."""
    import numpy as np

    if values.dtype.kind == "O":
        flat = values.ravel()
        return any(value is None or value != value for value in flat)
    return values.dtype.kind in "fc" and not bool(np.isfinite(values).all())


def as_answers(task: str, truth: "NDArray[Any]", predicted: "NDArray[Any]") -> "NDArray[Any]":
    """Predictions of shape (n,), (n, 1) or, for a classifier, probabilities (n, k), as n answers.

    The columns of probabilities stand for the sorted classes of the truth.
    """
    import numpy as np

    if predicted.ndim == 1:
        return predicted
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        return predicted[:, 0]
    classes = np.array(sorted(count_rows(truth)[0][0].tolist()), dtype=truth.dtype)
    if task == "classification" and predicted.shape == (len(truth), len(classes)):
        answers: NDArray[Any] = classes[predicted.argmax(axis=1)]
        return answers
    raise UsageError(
        f"predictions of shape {predicted.shape}",
        expected=f"one answer per row, or one probability for each of {len(classes)} classes",
        next_step="change the model so that it answers one value per row",
    )
