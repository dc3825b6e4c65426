"""What a model leaves running is gone when its gate ends, wherever it went."""

import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from model_release.model_process.client import ModelError, ModelProcess
from model_release.model_process.frames import Asked
from tests.hostile.conftest import living
from tests.waiting import until

MLMODEL = """
flavors:
  python_function:
    loader_module: leaving
    code: code
    python_version: 3.11.7
model_uuid: 00000000000000000000000000000000
"""

LEAVING = """
import os, signal, struct, subprocess, time

def forked(then):
    if os.fork() == 0:
        then()
        time.sleep(10_000)
        os._exit(0)

def deaf():
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.closerange(0, 100)

def twice():
    os.setsid()
    forked(os.setsid)
    os._exit(0)

def moving():
    # always a new process, whose parent has just ended
    os.setsid()
    while True:
        if os.fork():
            os._exit(0)
        time.sleep(0.002)

def crowd():
    # 64 processes in machine code, each 50,000 times another: faster than they are listed
    code = bytes.fromhex(
        "bb06000000b8390000000f05ffcb75f5bb50c30000b8390000000f05ffcb740485c07ef1b83c00000031ff0f05"
    )
    start, size = 0x400000, 120 + len(code)
    head = b"\\x7fELF\\2\\1\\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, start + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 4096)
    with open("crowd", "wb") as file:
        file.write(head + code)
    os.chmod("crowd", 0o700)
    subprocess.Popen([os.path.abspath("crowd")], start_new_session=True)

WAYS = {
    "a crowd": crowd,
    "a fork": lambda: forked(lambda: None),
    "a session of its own": lambda: forked(os.setsid),
    "a daemon": lambda: forked(twice),
    "one that hears no signal": lambda: forked(deaf),
    "one that is stopped": lambda: forked(lambda: os.kill(os.getpid(), signal.SIGSTOP)),
    "one that is always another": lambda: forked(moving),
    "another program": lambda: subprocess.Popen(["sleep", "10000"], start_new_session=True),
}

class Model:
    def predict(self, data, params=None):
        way, end = data["way"].iloc[0].split(", ")
        WAYS[way]()
        if end == "and dies":
            os._exit(9)
        return [1]

def _load_pyfunc(path):
    return Model()
"""
WAYS = [
    *("a fork", "a session of its own", "a daemon", "one that hears no signal"),
    *("one that is stopped", "one that is always another", "another program"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaving")
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "code").mkdir()
    (folder / "code" / "leaving.py").write_text(LEAVING)
    return folder


@pytest.mark.parametrize("end", ["and returns", "and dies"])
def test_nothing_outlives_its_gate(model: Path, tmp_path: Path, end: str) -> None:
    with ModelProcess(Path(sys.executable), "model 1", tmp_path, [model]) as process:
        process.send("start")
        process.receive(120)
        process.send("load", {"path": str(model)})
        process.receive(60)
        alone = set(living(tmp_path))
        assert alone
        for way in WAYS:
            left = set(living(tmp_path))
            _leave(process, f"{way}, and returns")
            process.receive(60, Asked(arrays=1, rows=1))
            until(lambda left=left: set(living(tmp_path)) - left, seconds=60)
        if end == "and dies":
            _leave(process, f"{WAYS[0]}, {end}")
            with pytest.raises(ModelError, match="died"):
                process.receive(60, Asked(arrays=1, rows=1))
    assert living(tmp_path) == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code of x86_64")
def test_a_crowd_that_forks_faster_than_it_can_be_listed(model: Path, tmp_path: Path) -> None:
    with ModelProcess(Path(sys.executable), "model 1", tmp_path, [model]) as process:
        process.send("load", {"path": str(model)})
        process.receive(120)
        before = _forks()
        _leave(process, "a crowd, and returns")
        process.receive(60, Asked(arrays=1, rows=1))
        until(lambda: _forks() - before > 1000, seconds=60)
    assert living(tmp_path) == []
    assert _forks() - before < 1_000_000  # of three: it was ended


def _forks() -> int:
    """How many processes were ever made on this machine."""
    lines = Path("/proc/stat").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("processes ")).split()[1])


def _leave(process: ModelProcess, way: str) -> None:
    process.send("predict", {"columns": ["way"]}, [np.array([way], object)])
