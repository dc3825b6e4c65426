"""What a model answers, as one array with one entry a row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .frames import Array


def as_array(answer: Any, rows: int) -> Array:
    """Bring the answer of `predict` into an array whose first axis has `rows` entries.

    Tables become (rows, columns); a single column becomes (rows,). A lone value counts for one row.

    Raises:
        ValueError: the answer does not have one entry a row.
    """
    array = _plain(answer)
    if array.ndim == 0 and rows == 1:
        array = array.reshape(1)
    if array.ndim == 0 or len(array) != rows:
        found = f"{len(array):,}" if array.ndim else "one"
        kind = type(answer).__name__
        raise ValueError(f"predict answered {found} ({kind}) for {rows:,} rows")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _plain(answer: Any) -> Array:
    if isinstance(answer, Mapping):
        answer = pd.DataFrame(answer)
    if isinstance(answer, list) and answer and isinstance(answer[0], Mapping):
        answer = pd.DataFrame(answer)
    if hasattr(answer, "to_numpy"):  # pandas
        return np.asarray(answer.to_numpy())
    if hasattr(answer, "toarray"):  # scipy.sparse
        return np.asarray(answer.toarray())
    if isinstance(answer, list):
        try:
            return np.asarray(answer)
        except ValueError:  # ragged
            return np.fromiter(answer, dtype=object, count=len(answer))
    return np.asarray(answer)
