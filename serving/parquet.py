"""What a Parquet file would become, counted without decoding a value.

Its footer says how many values there are, and Arrow reads no more. What a page of them takes is
said by the page's own header alone: a few kilobytes are a gigabyte of zeros, well compressed.
"""

import io
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

PAGE_BYTES = 1024
"""A page counts as no less: reading its header takes time as well."""
PLAIN = frozenset((0, 3, 4, 6))
"""Encodings (plain, levels, lengths first) whose texts are no longer than their page."""
DICTIONARY = frozenset((2, 8))
TEXT_BYTES = 2**16
"""Where each text were as long as its page, and all together no more than this, none is read."""
FOOTER_BYTES_PER_COLUMN = 256


class Counted(NamedTuple):
    """Columns, values (nulls included), and the bytes that pages and texts take."""

    columns: int
    values: int
    size: int


def count(body: bytes, *, columns: int, size: int) -> Counted | None:
    """What a file becomes; None if it is none. Counting ends where a limit is passed.

    Args:
        body: the file.
        columns: how many are allowed.
        size: bytes allowed.

    Raises:
        ValueError, IndexError, OSError: a page cannot be read.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return None  # nor can MLflow read it

    footer = int.from_bytes(body[-8:-4], "little") if body.endswith(b"PAR1") else 0
    if footer > FOOTER_BYTES_PER_COLUMN * columns:
        return Counted(footer // FOOTER_BYTES_PER_COLUMN, 0, 0)
    try:
        file: Any = pq.ParquetFile(io.BytesIO(body))
    except (pa.ArrowException, OSError):
        return None  # MLflow says what is wrong
    parts = range(file.metadata.num_row_groups), range(file.metadata.num_columns)
    chunks = [file.metadata.row_group(group).column(column) for group, column in product(*parts)]
    width, rows = file.metadata.num_columns, file.metadata.num_rows
    values = max(width * rows, sum(chunk.num_values for chunk in chunks))
    taken, coded = 0, set()
    for chunk in (each for each in chunks if each.num_values):  # of others no page is read
        if taken <= size:
            more, is_coded = _sizes(body, chunk, size)
            taken += more
            coded.update([chunk.path_in_schema] if is_coded else [])
    if coded and taken <= size and values <= size:
        taken += _texts(body, sorted(coded), size)
    return Counted(width, values, taken)


def _sizes(body: bytes, chunk: Any, size: int) -> tuple[int, bool]:
    """Bytes of a column's pages, and whether its texts are still to be counted."""
    taken = largest = 0
    encodings = set()
    for page, encoding in _pages(body, chunk):
        taken += max(page, PAGE_BYTES)
        largest = max(largest, page)
        encodings.add(encoding)
        if taken > size:
            return taken, False
    at_most = largest * chunk.num_values
    if chunk.physical_type != "BYTE_ARRAY" or PLAIN.issuperset(encodings) or at_most <= TEXT_BYTES:
        return taken, False
    if (PLAIN | DICTIONARY).issuperset(encodings):
        return taken, True
    return taken + at_most, False  # a text may be the one before it and more


def _texts(body: bytes, paths: list[str], size: int) -> int:
    """Bytes of all texts of columns that are dictionaries, each counted where it stands."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    taken = 0
    file: Any = pq.ParquetFile(io.BytesIO(body), read_dictionary=paths)
    for group in range(file.num_row_groups):
        try:
            table = file.read_row_group(group, columns=paths)
        except NotImplementedError:  # lists whose dictionary grew too large for their pages
            return size + 1
        for column in (chunk for each in table.columns for chunk in each.chunks):
            for part in _leaves(column):
                lengths = pc.binary_length(part.dictionary).take(part.indices)
                taken += pc.sum(lengths).as_py() or 0
        if taken > size:
            break
    return taken


def _leaves(column: Any) -> Iterator[Any]:
    """The dictionaries in a column, also of a list or structure."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        yield column
    elif pa.types.is_nested(column.type):
        for part in column.flatten() if pa.types.is_struct(column.type) else [column.flatten()]:
            yield from _leaves(part)


def _pages(body: bytes, chunk: Any) -> Iterator[tuple[int, int]]:
    """Size and encoding of each page, where Arrow looks for them."""
    at = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    while at < end:
        try:
            header, at = _struct(body, at)
        except (IndexError, RecursionError) as error:
            raise ValueError("a page's header cannot be read") from error
        page, stored = header.get(2, -1), header.get(3, -1)
        if page < 0 or stored < 0:
            raise ValueError("a page has no size")
        at += stored
        if header.get(1) == 2:  # a dictionary
            yield page, 0
        else:
            yield page, header.get(5, {}).get(2, header.get(8, {}).get(4, -1))


def _struct(body: bytes, at: int) -> tuple[dict[int, Any], int]:
    """A structure of Thrift's compact protocol: whole numbers and structures, the rest skipped."""
    fields: dict[int, Any] = {}
    name = 0
    while kind := body[at]:
        at += 1
        if kind >> 4:
            name += kind >> 4
        else:
            name, at = _number(body, at)
        fields[name], at = _value(body, at, kind & 15)
    return fields, at + 1


def _value(body: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true and false are in the kind
        return kind == 1, at
    if kind in (4, 5, 6):
        return _number(body, at)
    if kind == 8:
        length, at = _varint(body, at)
        return None, at + length
    if kind == 12:
        return _struct(body, at)
    if kind in (3, 7):
        return None, at + (1 if kind == 3 else 8)
    raise ValueError("a page's header has what no page's header has")


def _number(body: bytes, at: int) -> tuple[int, int]:
    number, at = _varint(body, at)
    return (number >> 1) ^ -(number & 1), at


def _varint(body: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        number |= (body[at] & 127) << shift
        at += 1
        if body[at - 1] < 128:
            return number, at
    raise ValueError("a number is too long")
