"""No request costs more than a stated multiple of its size, whatever its body would become.

docs/serving.md, "What a request may cost", states it; the kernel counts here: CPU seconds (a server
that takes more is ended), and the peak of its memory.
"""

import http.client
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.xdist_group("serving-cost")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KIB, MIB = 2**10, 2**20
MEMORY_TIMES, MEMORY_BESIDE = 64, 320 * MIB
CPU_PER_MIB, CPU_BESIDE = 6.0, 8.0
"""Seconds, a few times of what it takes on a machine that has nothing else to do."""

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
TICKS = os.sysconf("SC_CLK_TCK")


class Servers(NamedTuple):
    """One process with a server for each signature of quiet_servers.py."""

    process: "subprocess.Popen[bytes]"
    ports: dict[str, int]
    memory: int

    def cpu(self) -> float:
        """Seconds that the kernel has given the process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def status(self, key: str) -> int:
        """A size in bytes, of /proc/<pid>/status."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition(f"{key}:")[2].split()[0]) * KIB

    def send(self, signature: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        """Status and body of the answer; a server that takes too much CPU time is ended for it."""
        pid = self.process.pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted anew
        allowed = int(self.cpu() + CPU_BESIDE + CPU_PER_MIB * len(body) / MIB) + 1
        resource.prlimit(pid, resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[signature], timeout=300)
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": content_type})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Servers]]:
    """The servers, started anew where the last request ended them."""
    running: list[Servers] = []

    def get() -> Servers:
        if not running or running[-1].process.poll() is not None:
            running.append(_started(tmp_path_factory.mktemp("contexts")))
        return running[-1]

    yield get
    for each in running:
        each.process.kill()
        each.process.wait(timeout=30)
        assert each.process.stdin is not None
        assert each.process.stdout is not None
        each.process.stdin.close()
        each.process.stdout.close()


def _started(folder: Path) -> Servers:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "quiet_servers.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    ports = json.loads(process.stdout.readline())
    servers = Servers(process, ports, 0)
    for name in ports:  # what is imported with a first request is no request's cost
        servers.send(name, b'{"inputs": [1]}', JSON)
        servers.send(name, b"a,b\n1,2\n", CSV)
    return servers._replace(memory=servers.status("VmRSS"))


def check(servers: Servers, signature: str, body: bytes, content_type: str = JSON) -> bytes:
    """Send it; its cost is within the stated bounds, its status documented; the answer's body."""
    try:
        status, answer = servers.send(signature, body, content_type)
    except (OSError, http.client.HTTPException) as error:
        raise AssertionError(f"the server took too much CPU time: {error!r}") from error
    taken = servers.status("VmHWM") - servers.memory
    assert taken <= MEMORY_TIMES * len(body) + MEMORY_BESIDE, f"{taken / MIB:.0f} MiB"
    assert status in (200, 400), answer[:300]
    return answer


def packed(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def split(**content: Any) -> bytes:
    return packed({"dataframe_split": content})


def own_keys(count: int) -> list[dict[str, int]]:
    return [{f"key{i}": 1} for i in range(count)]


def keys(count: int) -> dict[str, int]:
    return {f"key{i}": 1 for i in range(count)}


def colliding(count: int) -> list[int]:
    """Numbers that have one hash together."""
    return [i * (2**61 - 1) for i in range(count)]


def parquet(values: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"a": values}), stream, **options)
    return stream.getvalue()


def bomb(claimed: int | None = None) -> bytes:
    """A page of 64 MiB in 3 KiB; its footer may claim less, in as many bytes."""
    text = parquet(pa.array(["0" * 64 * MIB]), use_dictionary=False, compression="zstd")
    real = pq.ParquetFile(io.BytesIO(text)).metadata.row_group(0).column(0).total_uncompressed_size
    return text if claimed is None else text.replace(varint(real, 4), varint(claimed, 4))


def varint(number: int, width: int) -> bytes:
    """A positive number as Thrift writes it, in this many bytes."""
    parts = [(number * 2 >> 7 * i) & 127 for i in range(width)]
    return bytes([*(each | 128 for each in parts[:-1]), parts[-1]])


ONE_TEXT_OFTEN = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000), pa.array(["x" * 100_000]))
DELTAS = {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}}
LONG_AND_SHORT = ["x" * 32 * KIB, *["y"] * 8 * KIB]
"""An array of these has room for 32 KiB of text 8,193 times."""

TOO_MUCH: dict[str, tuple[str, bytes, str]] = {
    "commas": ("doubles", b"," * 64 * KIB, CSV),
    "commas, 15 MiB": ("none", b"," * 15 * MIB, CSV),
    "a name and commas": ("none", b"a\n" + b"," * 64 * KIB, CSV),
    "blank lines, then commas": ("none", b"\n \n\t\n" + b"," * 64 * KIB, CSV),
    "names in quotes over lines": ("none", b'"a\nb"' + b',"c\n"' * 8 * KIB, CSV),
    "a byte order mark": ("none", b'\xef\xbb\xbf"a\n"\n' + b"," * 64 * KIB, CSV),
    "short lines under many names": ("none", b"," * 4000 + b"\n1" * 16 * KIB, CSV),
    "short lines after returns": ("none", b"," * 4000 + b"\r1" * 16 * KIB, CSV),
    "records with a key of its own each": (
        "doubles",
        packed({"dataframe_records": own_keys(7_000)}),
        JSON,
    ),
    "the same, no signature": ("none", packed({"dataframe_records": own_keys(7_000)}), JSON),
    "the same, as inputs": ("doubles", packed({"inputs": own_keys(7_000)}), JSON),
    "the same, as instances": ("doubles", packed({"instances": own_keys(7_000)}), JSON),
    "one long row": ("none", split(data=[[1] * 16_000, *[[]] * 16_000]), JSON),
    "a row of text": ("none", split(data=[[1], "x" * 32_000, *[[]] * 10_000]), JSON),
    "a scalar for all": (
        "doubles",
        split(index=list(range(6_000)), columns=list(range(4_000)), data=1),
        JSON,
    ),
    "a list of names for all": (
        "none",
        split(columns=[list(range(9_000)), list(range(9_000))], data=[]),
        JSON,
    ),
    "an index of levels": ("none", split(index=[[1]] * 16_000, data=[[1]]), JSON),
    "objects in an object": (
        "none",
        split(data={f"a{i}": {f"b{i}": 1} for i in range(4_000)}),
        JSON,
    ),
    "records in a split": ("none", split(data=own_keys(7_000)), JSON),
    "scalars beside a list": (
        "doubles",
        packed({"inputs": {**keys(4_000), "a": [1] * 16_000}}),
        JSON,
    ),
    "names with one hash": ("doubles", split(columns=colliding(40_000), data=[]), JSON),
    "a wide row": ("doubles", packed({"inputs": [[1] * MIB]}), JSON),
    "many inputs": ("tensors", packed({"inputs": keys(60_000)}), JSON),
    "many fields": ("doubles", packed({"messages": [], **keys(60_000)}), JSON),
    "a long text among short ones": ("none", packed({"inputs": LONG_AND_SHORT}), JSON),
    "the same in a column": ("strings", packed({"inputs": {"a": LONG_AND_SHORT}}), JSON),
    "the same in a cell": (
        "arrays",
        packed({"dataframe_records": [{"a": LONG_AND_SHORT}]}),
        JSON,
    ),
    "the same in a tensor": (
        "tensors",
        split(columns=["t"], data=[[x] for x in LONG_AND_SHORT]),
        JSON,
    ),
    "the same in instances": (
        "none",
        packed({"instances": [{"a": text} for text in LONG_AND_SHORT]}),
        JSON,
    ),
    "empty lists": ("none", b'{"inputs":[' + b"[]," * 5 * MIB + b"[]]}", JSON),
    "empty objects": ("doubles", b'{"inputs":[' + b"{}," * 5 * MIB + b"{}]}", JSON),
    "empty lists in params": ("doubles", b'{"params":{"a":[' + b"[]," * MIB + b"[]]}}", JSON),
    "a Parquet of zeros": ("none", parquet([0] * 3_000_000), PARQUET),
    "a Parquet of one text": ("none", parquet(ONE_TEXT_OFTEN), PARQUET),
    "a Parquet of lists of it": (
        "none",
        parquet(pa.ListArray.from_arrays(list(range(0, 10_001, 10)), ONE_TEXT_OFTEN)),
        PARQUET,
    ),
    "a Parquet of differences": ("none", parquet(["x" * 100_000] * 1_000, **DELTAS), PARQUET),
    "a Parquet bomb": ("none", bomb(), PARQUET),
    "a Parquet bomb that denies it": ("none", bomb(claimed=100), PARQUET),
    "a wide Parquet": (
        "none",
        b"PAR1" + b" " * 2 * MIB + (2 * MIB).to_bytes(4, "little") + b"PAR1",
        PARQUET,
    ),
    "lists in lists": ("none", b'{"inputs":[' + b"[" * 900 * KIB, JSON),
}
"""Body by body: the signature of the model it is sent to, the body, its content type."""


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_would_become_too_much_is_refused(start: Callable[[], Servers], name: str) -> None:
    answer = check(start(), *TOO_MUCH[name])
    assert b"are allowed (SERVING_MAX_" in answer


HALF = 512 * KIB
WITHIN: dict[str, tuple[str, bytes, str]] = {
    "a long text in a short request": (
        "doubles",
        split(columns=[*"abc"], data=[["x" * 30_000, 1, 1], *[["y", 1, 1]] * 2_500]),
        JSON,
    ),
    "a long text for a number": (
        "strings",
        split(columns=[*"ab"], data=[["z", "x" * 30_000], *[["z", "y"]] * 2_500]),
        JSON,
    ),
    "a sparse table": (
        "doubles",
        packed({"dataframe_records": [{f"key{i % 1400}": 1} for i in range(1_400)]}),
        JSON,
    ),
    "as many columns as may be": ("none", b"," * 4_000 + b"\n1" * 490, CSV),
    "levels of an index": ("none", b"a\n" + b"," * 4_000, CSV),
    "columns without rows": ("none", split(columns=list(range(4_000)), data=[]), JSON),
    "names with one hash": ("doubles", split(columns=colliding(4_000), data=[]), JSON),
    "lists": ("none", b'{"inputs":[' + b"[0]," * (HALF // 4) + b"[0]]}", JSON),
    "objects": ("doubles", packed({"inputs": [{"a": 1, "b": 2}] * 80_000}), JSON),
    "objects for tensors": ("tensors", packed({"inputs": [{"x": 1, "t": 2}] * 80_000}), JSON),
    "objects for nobody": ("none", packed({"instances": [{"a": 1}] * 80_000}), JSON),
    "numbers": ("doubles", packed({"inputs": [1] * HALF}), JSON),
    "numbers and texts": ("none", packed({"inputs": [1, "a"] * 100_000}), JSON),
    "many inputs for nobody": ("none", packed({"inputs": keys(40_000)}), JSON),
    "texts": ("strings", packed({"inputs": {"a": ["x" * 1_900, *["y"] * 8_000]}}), JSON),
    "keys given twice": ("doubles", b"{" + b'"inputs":[],' * 40_000 + b'"inputs":1}', JSON),
    "params": ("doubles", packed({"inputs": [], "params": keys(4_000)}), JSON),
    "numbers of 4,300 digits": ("none", packed({"inputs": [10**4299] * 200}), JSON),
    "a number of a million digits": ("none", b'{"inputs":[' + b"9" * MIB + b"]}", JSON),
    "a fraction of a million digits": ("doubles", b'{"inputs":[0.' + b"9" * MIB + b"]}", JSON),
    "an exponent of a million digits": ("doubles", b'{"inputs":[1e' + b"9" * MIB + b"]}", JSON),
    "1e999": ("doubles", packed({"inputs": {"a": [1]}}).replace(b"1", b"1e999"), JSON),
    "nested as deep as may be": (
        "none",
        b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        JSON,
    ),
    "no JSON": ("doubles", b"\0" * MIB, JSON),
    "characters that are escaped": ("doubles", b'{"inputs":"' + b"\\u0000" * 100_000 + b'"}', JSON),
    "quotes": ("none", b'"' * MIB, CSV),
    "line ends": ("none", b"\n" * MIB, CSV),
    "short lines": ("strings", b"a,b\n" + b"x,1\n" * 100_000, CSV),
}


@pytest.mark.parametrize("name", WITHIN)
def test_what_is_within_the_limits_costs_a_multiple_of_its_size(
    start: Callable[[], Servers], name: str
) -> None:
    check(start(), *WITHIN[name])


IMAGE = packed({"inputs": [[[[0.25, 0.5, 0.75]] * 224] * 224]})
HONEST: dict[str, tuple[str, bytes, str]] = {
    "10,000 rows of 30 columns": (
        "doubles",
        split(
            columns=[*"abc", *(f"c{i}" for i in range(27))],
            data=[[i / 7 for i in range(30)]] * 10_000,
        ),
        JSON,
    ),
    "10,000 records": (
        "doubles",
        packed({"dataframe_records": [dict.fromkeys("abc", 1.5)] * 10_000}),
        JSON,
    ),
    "10,000 inputs": ("doubles", packed({"inputs": [dict.fromkeys("abc", 1.5)] * 10_000}), JSON),
    "2,000 columns": (
        "wide",
        split(columns=[f"c{i}" for i in range(2_000)], data=[[0.5] * 2_000] * 20),
        JSON,
    ),
    "an image": ("none", IMAGE, JSON),
    "a thousand texts": (
        "none",
        packed({"inputs": [f"{'word ' * (i % 300)}" for i in range(1_000)]}),
        JSON,
    ),
    "a Parquet file": (
        "none",
        pd.DataFrame({"n": range(50_000), "t": ["red", "green"] * 25_000}).to_parquet(),
        PARQUET,
    ),
    "a CSV with texts of many lines": (
        "strings",
        b"a,b\n" + b'"one, two\nthree\nfour",5\n' * 20_000,
        CSV,
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_people_send_is_answered(start: Callable[[], Servers], name: str) -> None:
    answer = check(start(), *HONEST[name])
    assert json.loads(answer)["predictions"] > 0
