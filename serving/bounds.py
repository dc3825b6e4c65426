"""What a body may become, counted before pandas and NumPy make tables and arrays of it.

MLflow's parser believes the shape that a body claims: a table is padded to its longest row and to
every key that any record has, a scalar is repeated for every row, and an array of texts has room
for the longest in each of its places. Some kilobytes become gigabytes so, or a minute's work.
"""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.types import DataType, Schema

from serving import parquet
from serving.settings import Settings
from serving.shapes import by_key, csv_shape, csv_texts, members, split_shape, table_shape, texts

LIST_CELLS = 8
OBJECT_CELLS = 16
"""A list and an object take that many times the memory of a number."""
TEXT_CHARACTERS = 8
"""Of an array's texts a cell holds this many characters."""
PARQUET_BYTES = 16
"""Of a Parquet file's pages and texts a cell holds this many bytes."""


class Bounds:
    """The limits for requests to one model: `docs/serving.md`, "What a request may cost"."""

    def __init__(self, schema: Schema | None, settings: Settings, *, hinted: bool = False) -> None:
        """Of a model with this input schema; `hinted`: type hints, of which no table is made."""
        specs: list[Any] = list(schema.inputs) if schema is not None and not hinted else []
        tensors = bool(specs) and schema is not None and schema.is_tensor_spec()
        self._columns = max(settings.columns, len(specs), *map(_width, specs if tensors else ()))
        self._cells = settings.cells
        self._signed = bool(specs)
        self._table = bool(specs) and not tensors
        self._wide = self._table and len(specs) > 1
        self._nests = self._table and any(not isinstance(each.type, DataType) for each in specs)
        self._texts = tensors and any(each.type.kind in "US" for each in specs)

    def read(self, body: bytes, content_type: str) -> bytes | dict[str, Any]:
        """The body for MLflow's parser: decoded if it is a JSON object, else as it is.

        Raises:
            MlflowException: it would become more than the limits allow.
        """
        mime_type = content_type.partition(";")[0].strip()
        if mime_type == "text/csv":
            self._check_table(*csv_shape(body), len(body))
            if self._texts:
                self._check_texts(*csv_texts(body), len(body))
        if mime_type == "application/vnd.apache.parquet":
            self._check_parquet(body)
        if mime_type != "application/json":
            return body
        brackets = LIST_CELLS * body.count(b"[") + OBJECT_CELLS * body.count(b"{")
        self._check_cells("lists and objects that count as", brackets, len(body))
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            return body  # MLflow says what is wrong
        if type(fields) is not dict:
            return body
        for shape in self._tables(fields):
            self._check_table(*shape, len(body))
        for items, longest in self._arrays(fields):
            self._check_texts(items, longest, len(body))
        return fields

    def _check_parquet(self, body: bytes) -> None:
        size = PARQUET_BYTES * max(self._cells, len(body))
        try:
            counted = parquet.count(body, columns=self._columns, size=size)
        except (ValueError, IndexError, OSError) as error:
            text = f"Invalid input. The body is no Parquet file: {error}"
            raise MlflowException(text, error_code=BAD_REQUEST) from error
        if counted is not None:
            self._check_table(1, counted.columns, len(body))
            self._check_cells("values that are", counted.values, len(body))
            pages = counted.size // PARQUET_BYTES
            self._check_cells("pages and texts that count as", pages, len(body))

    def _check_texts(self, items: int, longest: int, size: int) -> None:
        self._check_cells("texts that count as", items * longest // TEXT_CHARACTERS, size)

    def _check_table(self, rows: int, columns: int, size: int) -> None:
        if columns > self._columns:
            raise _too_much(f"{columns} columns", self._columns, "SERVING_MAX_COLUMNS")
        self._check_cells(f"{rows} rows of {columns} columns, which are", rows * columns, size)

    def _check_cells(self, what: str, cells: int, size: int) -> None:
        limit = max(self._cells, size)
        if cells > limit:
            raise _too_much(f"{what} {cells} cells", limit, "SERVING_MAX_CELLS")

    def _tables(self, fields: dict[str, Any]) -> Iterator[tuple[int, int]]:
        """Rows and columns of what becomes a table, or may."""
        if "dataframe_split" in fields:
            yield split_shape(fields["dataframe_split"])
        if "dataframe_records" in fields:
            yield table_shape(fields["dataframe_records"])
        if not self._signed:
            return
        for content in (fields, fields.get("inputs"), fields.get("instances")):
            first = content[0] if isinstance(content, list) and content else None
            rows, columns = table_shape(content)
            if isinstance(content, dict):
                yield (rows if self._table and not self._nests else 1), columns
            elif isinstance(first, dict) or (isinstance(first, list) and self._wide):
                yield (rows if self._table else 1), columns

    def _arrays(self, fields: dict[str, Any]) -> Iterator[tuple[int, int]]:
        """Items and longest text of what becomes an array, or may."""
        for key, content in fields.items():
            if key == "instances":
                yield from texts(by_key(content))
            elif key not in ("dataframe_split", "dataframe_records") or self._texts:
                yield from texts([content])
            elif self._nests:
                table = content.get("data") if isinstance(content, dict) else content
                rows = (each for each in members(table) if isinstance(each, list | dict))
                yield from texts(chain.from_iterable(map(members, rows)))


def _too_much(found: str, limit: int, setting: str) -> MlflowException:
    text = f"Invalid input. The body has {found}; {limit} are allowed ({setting})"
    return MlflowException(text, error_code=BAD_REQUEST)


def _width(spec: Any) -> int:
    """Columns of a table that stands for a tensor."""
    return int(spec.shape[1]) if len(spec.shape) > 1 else 1
