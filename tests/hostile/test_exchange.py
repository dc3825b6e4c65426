"""What the pipeline makes of a model's answer is bounded by what it asked for."""

import json
import subprocess
import sys

import pytest

from model_release import ROOT
from model_release.model_process.frames import MAX_HEADER_BYTES

MIB = 2**20

READER = """
import json, sys
from model_release.model_process.frames import PREFIX_BYTES, Asked, FrameError, read

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024

rows, header, start, unit, end, size = json.loads(sys.argv[1])
text = header.encode()
frame = (part for part in (len(text).to_bytes(PREFIX_BYTES, "big"), text))

def source(length):
    part = next(frame, None)
    if part is None:  # the body: made when it is asked for, and no sooner
        many = (length - len(start.encode()) - len(end)) // len(unit.encode())
        part = bytearray((start + unit * many + end).encode() if size > 64 else b"")
        part += b" " * (length - len(part))
    assert len(part) >= length, str(len(part))
    return part[:length]

before = peak()
try:
    read(source, Asked(rows, arrays=1))
    told = ""
except FrameError as error:
    told = str(error)
print(json.dumps([told, peak() - before]))
"""


def made_of(
    rows: int, header: str, start: str = "", unit: str = " ", end: str = "", size: int = 0
) -> tuple[str, float]:
    """What a reader says to an answer about `rows` rows, and the MiB that it took, kernel's count.

    The answer is a header, and a body of `size` bytes: start, unit again and again, end.
    """
    told, mib = json.loads(
        subprocess.run(
            [sys.executable, "-c", READER, json.dumps([rows, header, start, unit, end, size])],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
    )
    return told, mib


def described(dtype: str, shape: list[int], size: int) -> str:
    return json.dumps({"arrays": [{"dtype": dtype, "shape": shape, "bytes": size}]})


@pytest.mark.parametrize(
    ("dtype", "shape", "start", "unit", "end", "size", "told"),
    [
        ("json", [1], "[[]", ",[]", "]", 32 * MIB, "bytes for 1 rows"),
        ("json", [1], "[[[]", ",[]", "]]", 15 * MIB, "values for 1 rows"),
        ("json", [1], "[{}", ",{}", "]", 15 * MIB, "values for 1 rows"),
        ("json", [1], '[""', ',""', "]", 15 * MIB, "values for 1 rows"),
        ("json", [1], '[{"":{}', ',"":{}', "}]", 15 * MIB, "values for 1 rows"),
        ("json", [1], "[", "[", "", 15 * MIB, "values for 1 rows"),
        ("json", [1], "[0", ",0.1", "]", 4 * 2**20, "an array that does not fit"),
        ("json", [2**40], "[0", ",0", "]", 2**20, "shape (1099511627776,) for 1 rows"),
        ("<f8", [1, 2**27], "", " ", "", 1024 * MIB, "bytes for 1 rows"),
        ("<f8", [0, 2**27], "", " ", "", 8 * MIB, "shape (0, 134217728) for 1 rows"),
        ("<f8", [1] * 9000, "", " ", "", 8, "an array that does not fit"),
        ("i4," * 9000, [1], "", " ", "", 8, "an array that does not fit"),
        ("(999999,)f8", [1], "", " ", "", 8, "an array that does not fit"),
    ],
)
def test_what_was_not_asked_for_is_refused_before_it_is_made(
    dtype: str, shape: list[int], start: str, unit: str, end: str, size: int, told: str
) -> None:
    found, mib = made_of(1, described(dtype, shape, size), start, unit, end, size)
    assert told in found
    assert mib < 100


@pytest.mark.parametrize(
    ("start", "unit", "end", "size"),
    [
        ("[[[]", ",[]", "]]", 3 * (2**19 - 8)),
        ('[[""', ',"é1"', "]]", 6 * (2**20 - 8)),
        ('["\U0001f600', "x", '"]', 15 * MIB),
        ("[[1.5", ",0.1", "]]", 4 * (2**20 - 8)),
    ],
    ids=["lists", "texts", "a wide text", "numbers"],
)
def test_the_most_that_one_row_may_be_answered_with(
    start: str, unit: str, end: str, size: int
) -> None:
    found, mib = made_of(1, described("json", [1], size), start, unit, end, size)
    assert found == ""
    assert mib < 320


def test_a_header_is_small() -> None:
    large = json.dumps({"arrays": [], "more": [[]] * (MAX_HEADER_BYTES // 3)})
    assert made_of(1, large)[0].startswith("a header of ")
    many = json.dumps({"arrays": [{"dtype": "<f8", "shape": [1], "bytes": 8}] * 1000})
    assert made_of(1, many)[0] == "1,000 arrays for 1"


def test_long_answers_to_many_rows_are_taken() -> None:
    """An honest model: texts of 2,000 characters for each of 10,000 rows."""
    text = ',"' + "some fifty characters of an answer in plain words, " * 40 + '"'
    rows, size = 10_000, 1 + 10_000 * len(text)
    found, _ = made_of(rows, described("json", [rows], size), "[" + text[1:], text, "]", size)
    assert found == ""
