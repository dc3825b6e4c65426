"""How large the tables and arrays are that pandas and NumPy would make of a body: at most, counted.

Nothing here makes them. `tests/unit/serving/test_shapes.py` compares with what they make.
"""

import csv
import io
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

csv.field_size_limit(sys.maxsize)  # pandas has no limit either; the body has one


def members(value: Any) -> Iterable[Any]:
    """What is in a list or an object."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _keys(values: Iterable[Any]) -> int:
    """How many different keys the objects among the values have together."""
    return len(set(chain.from_iterable(each for each in values if isinstance(each, dict))))


def table_shape(content: Any) -> tuple[int, int]:
    """Rows and columns of the table that pandas makes of a decoded JSON value."""
    sized = [each for each in members(content) if isinstance(each, list | dict | str)]
    if isinstance(content, dict):  # its columns; one value stands for all rows
        lists = (len(each) for each in sized if isinstance(each, list))
        return max(chain((1, _keys(sized)), lists)), len(content)
    if not isinstance(content, list):
        return 1, 1
    if not content or not isinstance(content[0], list | dict):
        return len(content), 1
    return len(content), max(
        chain((_keys(sized),), map(len, sized))
    )  # rows, even of text, are padded


def split_shape(content: Any) -> tuple[int, int]:
    """Rows and columns of a table that is given as `dataframe_split`."""
    if not isinstance(content, dict):
        return 1, 1
    rows, columns = table_shape(content.get("data"))
    row_names, row_levels = _names(content.get("index"))
    column_names, column_levels = _names(content.get("columns"))
    return max(rows, row_names, column_levels), max(columns, column_names, row_levels)


def _names(labels: Any) -> tuple[int, int]:
    """How many labels an index has, and in how many levels: lists in it are levels."""
    if not isinstance(labels, list | dict):
        return 1, 1
    levels = [len(each) for each in members(labels) if isinstance(each, list)]
    return max(chain((len(labels),), levels)), len(levels)


def by_key(records: Any) -> list[Any]:
    """What becomes one array each if `instances` is a list of objects: the values of a key."""
    if not isinstance(records, list) or not records or not isinstance(records[0], dict):
        return [records]
    columns: dict[str, list[Any]] = {}
    for record in records:
        if isinstance(record, dict):
            for key, value in record.items():
                columns.setdefault(key, []).append(value)
    return list(columns.values())


def texts(values: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """For each list among the values, and in objects below: its items and its longest text.

    An array of texts has room for the longest text in each of its places. Lists in a list are one
    array with it; objects are no array, but what they hold may become one.
    """
    roots = list(values)
    while roots:
        root = roots.pop()
        if isinstance(root, dict):
            roots.extend(each for each in root.values() if isinstance(each, list | dict))
        elif isinstance(root, list):
            items = longest = 0
            rest = [root]
            while rest:
                part = rest.pop()
                kinds = set(map(type, part))
                items += len(part)
                if str in kinds:
                    longest = max(longest, max(len(each) for each in part if type(each) is str))
                if list in kinds:
                    rest.extend(each for each in part if type(each) is list)
                if dict in kinds:
                    roots.extend(each for each in part if type(each) is dict)
            yield items, longest


def _records(body: bytes) -> Iterator[list[str]]:
    """The records of a CSV, split as pandas splits them; lines without any field are empty ones."""
    lines = io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", errors="replace", newline="")
    return iter(csv.reader(lines))


def csv_shape(body: bytes) -> tuple[int, int]:
    """Rows and columns of a CSV: pandas takes the columns from its names and its first row."""
    ends = body.count(b"\n") + body.count(b"\r") - body.count(b"\r\n")
    if b'"' in body or body.count(b"\r") != body.count(b"\r\n"):
        # an end in quotes is none, and of lines that a lone return ends pandas skips not all blanks
        widths = [len(each) for each in _records(body)]
        return len(widths), max(chain((1,), widths))
    written = (each for each in _records(body) if len(each) > 1 or "".join(each).strip())
    return ends, max(map(len, islice(written, 2)), default=1)


def csv_texts(body: bytes) -> tuple[int, int]:
    """Rows of a CSV, and its longest text: what a tensor of texts is made of."""
    lengths = [max(map(len, each), default=0) for each in _records(body)]
    return len(lengths), max(lengths, default=0)
