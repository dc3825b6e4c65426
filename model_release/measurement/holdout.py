"""The pinned data on which models are measured: fetched, checked by hash, read in batches."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from model_release.config import Holdout
from model_release.digest import file_sha256
from model_release.errors import OutsideError, UsageError, disk_full
from model_release.model_process.frames import Array

if TYPE_CHECKING:
    import pyarrow as pa

CSV_BLOCK_BYTES = 64 * 2**20
"""The types of CSV columns are inferred from the first block; later ones have to fit them."""

PARQUET_BUFFER_BYTES = 2**16
"""Read pages as they are needed: a whole row group may be as large as the file."""

FetchArtifact = Callable[[str, Path], Path]
"""Copies a `runs:/…` artifact into a folder and answers where it is."""


@dataclass(frozen=True)
class Batch:
    """Rows of the holdout: one array a column, all equally long."""

    features: tuple[Array, ...]
    truth: Array
    slices: tuple[Array, ...]


@dataclass(frozen=True)
class HoldoutData:
    """A holdout that was found, whose hash is right and whose columns are there.

    `columns` are those that the model is shown, `slices` those whose values divide the rows;
    `state` tells whether the file is still the one whose hash is right.
    """

    path: Path
    spec: Holdout
    columns: tuple[str, ...]
    slices: tuple[str, ...]
    state: tuple[int, ...]

    def batches(self) -> Iterator[Batch]:
        """Read the rows once, in order, `batch_rows` at a time, in bounded memory.

        Numbers keep their width (integers with gaps become float64 with NaN), dates and times
        become datetime64 (UTC), text and nested values arrays of objects.

        Raises:
            UsageError: a part of the file cannot be read, there are no rows, the truth has gaps, or
                somebody changes the file meanwhile.
        """
        wanted = list(dict.fromkeys((*self.columns, self.spec.target, *self.slices)))
        rows = 0
        with _reading(self.spec):
            for table in _tables(self.path, self.spec, wanted):
                arrays = {name: _array(table.column(name)) for name in wanted}
                rows += table.num_rows
                self._require_unchanged()
                yield Batch(
                    features=tuple(arrays[name] for name in self.columns),
                    truth=self._truth(table, arrays[self.spec.target]),
                    slices=tuple(arrays[name] for name in self.slices),
                )
        if rows == 0:
            raise UsageError(_what(self.spec), expected="rows", found="none", next_step=NEXT)

    def _require_unchanged(self) -> None:
        if _state(self.path) != self.state:
            raise UsageError(
                _what(self.spec),
                expected="a file that does not change while it is read",
                found="a change after its SHA-256 was checked",
                next_step="restore the file, then run the same command again",
            )

    def _truth(self, table: "pa.RecordBatch", truth: Array) -> Array:
        gaps = table.column(self.spec.target).null_count
        if gaps:
            raise UsageError(
                f"target column {self.spec.target!r} of {_what(self.spec)}",
                expected="a value in every row",
                found=f"{gaps} rows without one",
                next_step="remove these rows and pin the new file",
            )
        return truth


NEXT = "correct holdout in models/<name>.yaml"


def open_holdout(
    spec: Holdout,
    root: Path,
    fetch_artifact: FetchArtifact,
    cache: Path,
    slices: Sequence[str] = (),
) -> HoldoutData:
    """Find the holdout, check its SHA-256 and its columns. No row is read yet.

    Args:
        spec: the holdout section of `models/<name>.yaml`.
        root: what a relative path is relative to.
        fetch_artifact: fetches `runs:/…`.
        cache: folder that keeps what was fetched, under its hash.
        slices: further columns to read beside those that the model is shown.

    Raises:
        UsageError: no such file, another hash, a column that is missing.
        OutsideError: the store cannot be reached or the disk is full.
    """
    path = _fetched(spec, fetch_artifact, cache) if ":/" in spec.uri else root / spec.uri
    try:
        state = _state(path)
        found = file_sha256(path)
    except OSError as error:
        raise UsageError(
            _what(spec), expected="a readable file", found=error.strerror or "none", next_step=NEXT
        ) from error
    if found != spec.sha256:
        raise UsageError(
            _what(spec),
            expected=f"SHA-256 {spec.sha256}",
            found=found,
            next_step="restore the file, or pin the new one in models/<name>.yaml",
        )
    with _reading(spec):
        names = _column_names(path, spec)
    _require_columns(spec, names, slices)
    hidden = {spec.target, *spec.drop}
    columns = tuple(name for name in names if name not in hidden)
    return HoldoutData(path, spec, columns, tuple(slices), state)


def _state(path: Path) -> tuple[int, ...]:
    """What changes whenever a file is written to or replaced."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _require_columns(spec: Holdout, names: list[str], slices: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            _what(spec), expected="each column once", found=f"{twice[0]!r} twice", next_step=NEXT
        )
    for name in (spec.target, *spec.drop, *slices):
        if name not in names:
            raise UsageError(
                f"column {name!r} of {_what(spec)}",
                expected="a column of the file",
                found=", ".join(names[:20]) or "no columns",
                next_step=NEXT,
            )


def _fetched(spec: Holdout, fetch_artifact: FetchArtifact, cache: Path) -> Path:
    """The file in the cache; fetched when it is not there. Nothing half-written keeps its name."""
    path = cache / spec.sha256
    if path.exists() and file_sha256(path) == spec.sha256:
        return path
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:
            fetch = _fetch_s3 if spec.uri.startswith("s3://") else fetch_artifact
            shutil.move(fetch(spec.uri, Path(unfinished)), path)
    except OSError as error:
        raise disk_full(error) or OutsideError(
            f"{_what(spec)} cannot be fetched: {error}",
            next_step=f"check that {cache} can be written to, then run the same command again",
        ) from error
    return path


def _fetch_s3(uri: str, folder: Path) -> Path:
    """Download `s3://bucket/key`; endpoint and credentials as boto3 finds them (AWS_…)."""
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    address = urlsplit(uri)
    path = folder / "holdout"
    try:
        boto3.client("s3").download_file(address.netloc, address.path.lstrip("/"), str(path))
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise OutsideError(
            f"holdout {uri} cannot be fetched: {error}",
            next_step="check the URI, AWS_ENDPOINT_URL and the credentials",
        ) from error
    return path


def _what(spec: Holdout) -> str:
    return f"holdout {spec.uri}"


@contextmanager
def _reading(spec: Holdout) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            _what(spec), expected=f"a readable {spec.format} file", found=text, next_step=NEXT
        ) from error


def _column_names(path: Path, spec: Holdout) -> list[str]:
    if spec.format == "parquet":
        import pyarrow.parquet as pq

        return list(pq.read_schema(path).names)
    from pyarrow import csv

    with csv.open_csv(path) as reader:
        return list(reader.schema.names)


def _tables(path: Path, spec: Holdout, columns: list[str]) -> "Iterator[pa.RecordBatch]":
    """Record batches of at most `batch_rows` rows."""
    if spec.format == "parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path, buffer_size=PARQUET_BUFFER_BYTES, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=spec.batch_rows, columns=columns)
        return
    from pyarrow import csv

    read = csv.ReadOptions(block_size=CSV_BLOCK_BYTES)
    convert = csv.ConvertOptions(include_columns=columns)
    with csv.open_csv(path, read_options=read, convert_options=convert) as reader:
        for block in reader:
            for start in range(0, block.num_rows, spec.batch_rows):
                yield block.slice(start, spec.batch_rows)


def _array(column: "pa.Array") -> Array:
    """One column as numpy holds it."""
    import pyarrow as pa

    kind: Any = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    elif pa.types.is_timestamp(kind) and kind.tz is not None:
        column = column.cast(pa.timestamp(kind.unit))
    array: Array = column.to_numpy(zero_copy_only=False)
    return array
