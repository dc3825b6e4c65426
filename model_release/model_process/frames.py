"""Frames: one JSON header and any number of arrays, over a pipe.

    8 bytes   length of the header, big-endian
    header    UTF-8 JSON object; its "arrays" describe what follows: [{dtype, shape, bytes}]
    arrays    raw buffers in C order, one after the other; dtype "json" is a JSON list

Numbers, booleans and times travel raw; anything else (text, None, nested lists) as JSON. A reader
checks every length before it reserves memory, every dtype before it interprets bytes, and counts
the values in JSON before it makes them: two bytes of JSON may become a list of a hundred.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
PREFIX_BYTES = 8
MAX_REQUEST_HEADER_BYTES = 64 * 2**20
MAX_HEADER_BYTES = 64 * 2**10
MAX_BODY_BYTES = 1024 * 2**20
MAX_ROW_BYTES = 16 * 2**20
MAX_JSON_BYTES, MAX_JSON_ROW_BYTES = 16 * 2**20, 4 * 2**10
MAX_JSON_VALUES, MAX_JSON_ROW_VALUES = 2**20, 64
"""JSON may take so much, and so much more for every row: one row may be answered at length."""

RAW_DTYPE = re.compile(r"[<>|=]?(?:[biuf][1248]|[Mm]8(?:\[\d{0,9}\w{1,9}\])?)")
FORGED = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""What Python raises about content that no `pack` writes."""


class FrameError(ValueError):
    """What came over the pipe is not a frame."""


@dataclass(frozen=True)
class Asked:
    """What was asked for, which bounds the answer: `arrays` arrays with `rows` entries each."""

    rows: int = 0
    arrays: int = 0

    def most_bytes(self, dtype: str) -> int:
        """How long an array of this dtype may be."""
        if dtype == "json":
            return min(MAX_BODY_BYTES, MAX_JSON_BYTES + self.rows * MAX_JSON_ROW_BYTES)
        return min(MAX_BODY_BYTES, self.rows * MAX_ROW_BYTES)

    def most_values(self) -> int:
        """How many values an array of JSON may hold, those within others counted."""
        return MAX_JSON_VALUES + self.rows * MAX_JSON_ROW_VALUES


NOTHING = Asked()


@dataclass(frozen=True)
class Frame:
    """One message: its header without the description of the arrays, and the arrays in order."""

    header: dict[str, Any]
    arrays: tuple[Array, ...] = ()


def pack(header: dict[str, Any], arrays: Iterable[Array] = ()) -> list[memoryview]:
    """The pieces of a frame, in the order in which they are to be written.

    Raises:
        TypeError: a value that JSON cannot hold, such as bytes.
    """
    described: list[dict[str, Any]] = []
    buffers: list[memoryview] = []
    for array in arrays:
        if _is_raw(array.dtype):
            dtype = array.dtype.str
            buffer = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        else:
            dtype = "json"
            values = array.reshape(-1).tolist()
            buffer = memoryview(json.dumps(values, default=_plain).encode())
        described.append({"dtype": dtype, "shape": array.shape, "bytes": len(buffer)})
        buffers.append(buffer)
    text = json.dumps({**header, "arrays": described}).encode()
    return [memoryview(len(text).to_bytes(PREFIX_BYTES, "big") + text), *buffers]


def read(source: Callable[[int], bytes | bytearray], asked: Asked | None = None) -> Frame:
    """Read one frame; `source(n)` answers exactly n bytes or raises.

    Args:
        source: where its bytes come from.
        asked: what it may be, where it is an answer; None for a request: the pipeline is believed.

    Raises:
        FrameError: lengths, header or arrays that no `pack` writes, or that nobody asked for.
    """
    length = int.from_bytes(source(PREFIX_BYTES), "big")
    if length > (MAX_HEADER_BYTES if asked else MAX_REQUEST_HEADER_BYTES):
        raise FrameError(f"a header of {length:,} bytes")
    try:
        header = json.loads(source(length))
        described = [_Described.of(one) for one in header.pop("arrays")]
    except (*FORGED, AttributeError) as error:
        raise FrameError("bytes that are no header") from error
    size = sum(one.bytes for one in described)
    if size > MAX_BODY_BYTES:
        raise FrameError(f"arrays of {size:,} bytes; {MAX_BODY_BYTES:,} are the limit")
    if asked:
        _check_asked(described, NOTHING if "error" in header else asked)
    return Frame(header, tuple(_arrays(source, described, asked)))


@dataclass(frozen=True)
class _Described:
    """An array that follows, as its frame's header describes it."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @classmethod
    def of(cls, one: Mapping[str, Any]) -> "_Described":
        shape = tuple(int(length) for length in one["shape"])
        described = cls(str(one["dtype"]), shape, int(one["bytes"]))
        if described.bytes < 0 or any(length < 0 for length in shape):
            raise ValueError(one)
        return described


def _check_asked(described: Sequence[_Described], asked: Asked) -> None:
    if len(described) != asked.arrays:
        raise FrameError(f"{len(described):,} arrays for {asked.arrays}")
    for one in described:
        if one.shape[:1] != (asked.rows,):
            raise FrameError(f"an array of shape {str(one.shape)[:100]} for {asked.rows:,} rows")
        if one.bytes > (most := asked.most_bytes(one.dtype)):
            raise FrameError(
                f"an array of {one.bytes:,} bytes for {asked.rows:,} rows; {most:,} are the limit"
            )


def _arrays(
    source: Callable[[int], bytes | bytearray],
    described: Sequence[_Described],
    asked: Asked | None,
) -> Iterator[Array]:
    for one in described:
        body = source(one.bytes)
        if asked and one.dtype == "json":
            _check_values(body, asked)
        try:
            yield _json(one, body) if one.dtype == "json" else _raw(one, body)
        except FORGED as error:
            raise FrameError("an array that does not fit its description") from error


def _check_values(body: bytes | bytearray, asked: Asked) -> None:
    # Every value but the first of a list or object has a comma before it.
    values = 1 + sum(body.count(sign) for sign in (b",", b"[", b"{"))
    if values > (most := asked.most_values()):
        raise FrameError(
            f"an array of up to {values:,} values for {asked.rows:,} rows; {most:,} are the limit"
        )


def _json(one: _Described, body: bytes | bytearray) -> Array:
    made = json.loads(body)
    if not isinstance(made, list) or math.prod(one.shape) != len(made):
        raise ValueError(one)
    return np.fromiter(made, dtype=object, count=len(made)).reshape(one.shape)


def _raw(one: _Described, body: bytes | bytearray) -> Array:
    if not RAW_DTYPE.fullmatch(one.dtype):
        raise ValueError(one)
    kind = np.dtype(one.dtype)
    if not _is_raw(kind) or math.prod(one.shape) * kind.itemsize != len(body):
        raise ValueError(one)
    return np.frombuffer(body, dtype=kind).reshape(one.shape)


def _is_raw(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biufMm" and dtype.itemsize <= 8


def _plain(value: object) -> object:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__}")
