"""Frames: one JSON header and any number of arrays, over a pipe.

    8 bytes   length of the header, big-endian
    header    UTF-8 JSON object; its "arrays" describe what follows: [{dtype, shape, bytes}]
    arrays    raw buffers in C order, one after the other; dtype "json" is a JSON list

Numbers, booleans and times travel raw; anything else (text, None, nested lists) as JSON. A reader
checks every length before it reserves memory, and every dtype before it interprets bytes.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
PREFIX_BYTES = 8
MAX_HEADER_BYTES = 64 * 2**20
MAX_BODY_BYTES = 1024 * 2**20
FORGED = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""What Python raises about content that no `pack` writes."""


class FrameError(ValueError):
    """What came over the pipe is not a frame."""


@dataclass(frozen=True)
class Frame:
    """One message: its header without the description of the arrays, and the arrays in order."""

    header: dict[str, Any]
    arrays: tuple[Array, ...] = ()

    def number(self, name: str) -> float:
        """A number in the header; ValueError where there is none."""
        value = self.header.get(name)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise FrameError(f"{name} is {value!r}")
        return float(value)


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


def read(source: Callable[[int], bytes | bytearray]) -> Frame:
    """Read one frame; `source(n)` answers exactly n bytes or raises.

    Raises:
        FrameError: lengths, header or arrays that no `pack` writes.
    """
    length = int.from_bytes(source(PREFIX_BYTES), "big")
    if length > MAX_HEADER_BYTES:
        raise FrameError(f"a header of {length:,} bytes")
    try:
        header = json.loads(bytes(source(length)))
        described = header.pop("arrays")
        sizes = [int(one["bytes"]) for one in described]
    except (*FORGED, AttributeError) as error:
        raise FrameError("bytes that are no header") from error
    if any(size < 0 for size in sizes) or sum(sizes) > MAX_BODY_BYTES:
        raise FrameError(f"arrays of {sum(sizes):,} bytes; {MAX_BODY_BYTES:,} are the limit")
    return Frame(header, tuple(_arrays(source, described, sizes)))


def _arrays(
    source: Callable[[int], bytes | bytearray], described: list[dict[str, Any]], sizes: list[int]
) -> Iterator[Array]:
    for one, size in zip(described, sizes, strict=True):
        body = source(size)
        try:
            shape = tuple(int(length) for length in one["shape"])
            yield _array(one["dtype"], shape, body)
        except FORGED as error:
            raise FrameError("an array that does not fit its description") from error


def _array(dtype: str, shape: tuple[int, ...], body: bytes | bytearray) -> Array:
    if dtype == "json":
        values = json.loads(bytes(body))
        return np.fromiter(values, dtype=object, count=len(values)).reshape(shape)
    kind = np.dtype(dtype)
    if not _is_raw(kind) or math.prod(shape) * kind.itemsize != len(body):
        raise ValueError(dtype)
    return np.frombuffer(body, dtype=kind).reshape(shape)


def _is_raw(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biufMm" and dtype.itemsize <= 8


def _plain(value: object) -> object:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__}")
