"""The fast path: requests that are read straight into what MLflow's parser would hand the model.

A plan knows one signature. It reads a body only where the result is certain to be what MLflow's
own parsing and schema enforcement produce; anything else it declines (None), and MLflow's code
answers. `tests/integration/serving/test_fast_path.py` proves the equality, frame by frame. What
plans read can be merged: the rows of several requests become one input.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from mlflow.types import DataType, Schema, TensorSpec

Array = np.ndarray[Any, Any]
_NUMBERS = frozenset((int, float, bool))
_NUMBERS_OR_NULL = _NUMBERS | {type(None)}
# Kinds of array (numpy's letters) that `astype` turns into the column's type as pandas does.
_KINDS: dict[DataType, tuple[str, np.dtype[Any]]] = {
    DataType.double: ("fiub", np.dtype("float64")),
    DataType.float: ("fi", np.dtype("float32")),
    DataType.long: ("i", np.dtype("int64")),
    DataType.integer: ("i", np.dtype("int32")),
    DataType.boolean: ("b", np.dtype("bool")),
}
_PLANNED = frozenset((DataType.string, *_KINDS))


class Parsed(NamedTuple):
    """One request that was read: its rows, in the shape that its plan merges."""

    values: Any
    rows: int


class Plan(Protocol):
    """Reads bodies of one signature and merges what it read."""

    def parse(self, body: bytes) -> Parsed | None:
        """The rows of a JSON body, or None if MLflow's code has to answer it."""

    def merge(self, requests: Sequence[Parsed]) -> Any:
        """The model's input for the rows of all `requests`, in order."""


def plan_for(schema: Schema | None) -> Plan | None:
    """The plan for an input schema, or None: everything is left to MLflow's code."""
    if schema is None or not schema.inputs:
        return None
    if schema.is_tensor_spec():
        return _tensor_plan(schema)
    names = [name for name in schema.input_names() if isinstance(name, str)]
    types = [kind for kind in schema.input_types() if isinstance(kind, DataType)]
    count = len(schema.inputs)
    if not schema.has_input_names() or len(set(names)) != count or len(types) != count:
        return None
    if set(types) == {DataType.double}:
        return DoublePlan(names)
    return ColumnsPlan(names, types) if _PLANNED.issuperset(types) else None


def _tensor_plan(schema: Schema) -> Plan | None:
    spec = schema.inputs[0]
    if not isinstance(spec, TensorSpec) or schema.has_input_names() or len(schema.inputs) != 1:
        return None
    free = [size == -1 for size in spec.shape]
    plannable = len(free) > 1 and free[0] and not any(free[1:]) and spec.type.kind in "fi"
    return TensorPlan(spec) if plannable else None


def _table(body: bytes, names: list[str]) -> tuple[Sequence[Any], list[int] | None] | None:
    """Rows of a `dataframe_split` or `dataframe_records` body and the order of its columns.

    The order is None where the columns come as the signature has them.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if type(fields) is not dict or len(fields) != 1:
        return None
    [(key, content)] = fields.items()
    if key == "dataframe_split" and type(content) is dict:
        return _split(content, names)
    if key == "dataframe_records" and type(content) is list:
        return _records(content, names)
    return None


def _split(content: dict[str, Any], names: list[str]) -> tuple[Any, list[int] | None] | None:
    columns, rows = content.get("columns"), content.get("data")
    if type(rows) is not list or type(columns) is not list:
        return None
    if len(content) != 2 and not (
        len(content) == 3 and content.get("index") == list(range(len(rows)))
    ):
        return None
    if columns == names:
        return rows, None
    if len(columns) != len(names):
        return None
    try:
        positions = {name: position for position, name in enumerate(columns)}
        return rows, [positions[name] for name in names]
    except (TypeError, KeyError):
        return None


def _records(content: list[Any], names: list[str]) -> tuple[Any, None] | None:
    try:
        if all(len(record) == len(names) for record in content):
            return [[record[name] for name in names] for record in content], None
    except (TypeError, KeyError):
        pass
    return None


class DoublePlan:
    """Named columns, all of type double: one array, no work by column."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._index = pd.Index(names)

    def parse(self, body: bytes) -> Parsed | None:
        """See `Plan`; `values` is a float64 array of rows by columns."""
        table = _table(body, self._names)
        if table is None:
            return None
        rows, order = table
        try:
            # first, because an array of texts has room for the longest in each of its places
            if not all(_NUMBERS_OR_NULL.issuperset(map(type, row)) for row in rows):
                return None
            array = np.array(rows, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            return None
        if array.ndim != 2 or array.shape[1] != len(self._names):
            return None
        return Parsed(array if order is None else array[:, order], len(array))

    def merge(self, requests: Sequence[Parsed]) -> pd.DataFrame:
        """See `Plan`; the memory is laid out by column, as in the frames that MLflow builds."""
        arrays = [each.values for each in requests]
        rows = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        return pd.DataFrame(np.asfortranarray(rows), columns=self._index, copy=False)


class ColumnsPlan:
    """Named columns of numbers, booleans and strings."""

    def __init__(self, names: list[str], types: list[DataType]) -> None:
        self._names = names
        self._types = types

    def parse(self, body: bytes) -> Parsed | None:
        """See `Plan`; `values` is a list of columns: arrays, and lists of strings."""
        table = _table(body, self._names)
        if table is None or not table[0]:
            return None
        rows, order = table
        if not all(type(row) is list and len(row) == len(self._names) for row in rows):
            return None
        columns: list[Any] = list(zip(*rows, strict=True))
        if order is not None:
            columns = [columns[position] for position in order]
        values = [_column(each, kind) for each, kind in zip(columns, self._types, strict=True)]
        return None if any(each is None for each in values) else Parsed(values, len(rows))

    def merge(self, requests: Sequence[Parsed]) -> pd.DataFrame:
        """See `Plan`; pandas infers the type of strings here as it does for MLflow."""
        columns: dict[str, Any] = {}
        for position, name in enumerate(self._names):
            parts = [each.values[position] for each in requests]
            if isinstance(parts[0], list):
                columns[name] = [value for part in parts for value in part]
            else:
                columns[name] = np.concatenate(parts)
        return pd.DataFrame(columns)


def _column(values: tuple[Any, ...], kind: DataType) -> list[str] | Array | None:
    """One column in the type of the signature, or None if that is not certain."""
    if kind == DataType.string:
        try:
            "".join(values).encode()  # refuses what is no string and what is no text
        except (TypeError, ValueError):
            return None
        return list(values)
    kinds, dtype = _KINDS[kind]
    if not _NUMBERS.issuperset(map(type, values)):
        return None
    try:
        array: Array = np.array(values)
    except (ValueError, OverflowError):
        return None
    if array.ndim != 1 or array.dtype.kind not in kinds:
        return None
    return array.astype(dtype)


class TensorPlan:
    """One unnamed tensor of numbers, first dimension free, sent as `inputs` or `instances`."""

    def __init__(self, spec: TensorSpec) -> None:
        self._type = spec.type
        self._shape = tuple(spec.shape[1:])

    def parse(self, body: bytes) -> Parsed | None:
        """See `Plan`; `values` is an array of the signature's type and shape."""
        try:
            fields = json.loads(body)
            if type(fields) is not dict or len(fields) != 1:
                return None
            [(key, content)] = fields.items()
            if key not in ("inputs", "instances") or type(content) is not list:
                return None
            array = np.array(content, dtype=self._type)
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None
        fits = array.size and array.shape[1:] == self._shape
        return Parsed(array, len(array)) if fits else None

    def merge(self, requests: Sequence[Parsed]) -> Array:
        """See `Plan`."""
        if len(requests) == 1:
            array: Array = requests[0].values
            return array
        return np.concatenate([each.values for each in requests])
