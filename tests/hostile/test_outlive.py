"""What a model leaves running is gone when its gate ends, wherever it went."""

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
import os, signal, subprocess, time

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

WAYS = {
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


def _leave(process: ModelProcess, way: str) -> None:
    process.send("predict", {"columns": ["way"]}, [np.array([way], object)])
