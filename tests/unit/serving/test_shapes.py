"""What is counted is never less than what pandas and NumPy make."""

import io
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.shapes import by_key, csv_shape, split_shape, table_shape, texts

SCALARS = st.none() | st.integers(0, 3) | st.text("ab", max_size=4)
NAMES = st.text("abc", max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
TABLES = (
    VALUES
    | st.lists(st.dictionaries(NAMES, SCALARS, max_size=4))
    | st.lists(st.lists(SCALARS))
    | st.dictionaries(NAMES, st.lists(SCALARS) | st.dictionaries(NAMES, SCALARS) | SCALARS)
)


def made(**table: Any) -> tuple[int, int]:
    """The shape of pandas' own table; (0, 0) where it makes none."""
    with suppress(Exception):
        return pd.DataFrame(**table).shape
    return 0, 0


def covers(counted: tuple[int, int], real: tuple[int, int]) -> bool:
    return counted[0] >= real[0] and counted[1] >= real[1]


@given(content=TABLES)
def test_tables(content: Any) -> None:
    assert covers(table_shape(content), made(data=content))


LABELS = st.none() | VALUES | st.lists(st.lists(SCALARS, min_size=2, max_size=2), max_size=4)


@given(data=TABLES, index=LABELS, columns=LABELS)
def test_splits(data: Any, index: Any, columns: Any) -> None:
    content = {"data": data, "index": index, "columns": columns}
    assert covers(split_shape(content), made(**content))


@given(body=st.text(' ,"\n\r\tab\ufeff', max_size=40).map(str.encode))
def test_csv(body: bytes) -> None:
    with suppress(pd.errors.EmptyDataError, pd.errors.ParserError):
        frame = pd.read_csv(io.StringIO(body.decode()))
        implied = 0 if isinstance(frame.index, pd.RangeIndex) else frame.index.nlevels
        real = len(frame), frame.shape[1] + implied
        assert covers(csv_shape(body), real), (csv_shape(body), real)


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (b"", (0, 1)),
        (b"a,b,c\n1,2,3\n4,5,6\n", (3, 3)),
        (b"a,b,c\r\n1,2,3\r\n", (2, 3)),
        (b'a,b\n"one\ntwo\n",3\n', (2, 2)),
    ],
)
def test_a_csv_is_counted_closely(body: bytes, shape: tuple[int, int]) -> None:
    """At most one row too many: the line of names."""
    assert csv_shape(body) == shape


LONG_TEXTS = st.integers(0, 3) | st.text("ab", min_size=25, max_size=60)


@given(value=st.lists(st.recursive(LONG_TEXTS, lambda each: st.lists(each, max_size=4))))
def test_arrays_of_texts(value: list[Any]) -> None:
    with suppress(ValueError):
        array = np.array(value)
        if array.dtype.kind == "U":
            [(items, longest)] = texts([value])
            assert items * longest >= array.size * array.dtype.itemsize // 4


def test_texts_in_objects_are_arrays_of_their_own() -> None:
    value = [{"role": "long " * 9, "parts": ["ab", ["c"]]}, {"role": "x"}]
    assert sorted(texts([value])) == [(2, 0), (3, 2)]


def test_instances_become_an_array_for_each_key() -> None:
    records = [{"a": "x", "b": 1}, {"a": "yyy"}]
    assert by_key(records) == [["x", "yyy"], [1]]
    assert by_key([1, 2]) == [[1, 2]]
    assert by_key(None) == [None]
