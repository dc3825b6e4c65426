"""Models that misbehave, each in a real process, against the pipeline's side of the pipe."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model_release import ROOT
from model_release.digest import model_digest
from model_release.model_process.client import ModelError, ModelProcess
from model_release.model_process.frames import Asked, Frame
from tests.waiting import until

MLMODEL = """
flavors:
  python_function:
    loader_module: misbehaving
    code: code
    python_version: 3.11.7
model_uuid: 00000000000000000000000000000000
"""

MISBEHAVING = """
import os, signal, subprocess, sys, time
import numpy as np
import pandas as pd

DESCRIPTORS = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]

def fork_and_die():
    if os.fork() == 0:
        time.sleep(60)
    os._exit(4)

def escape_and_die():
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)
        os._exit(0)
    os._exit(5)

def fork_and_return():
    os.fork()
    return [7]

def flood():
    while True:
        os.write(2, b"x" * 65536)

def write_nonsense():
    for descriptor in DESCRIPTORS:
        try:
            os.write(descriptor, b"nonsense" * 20)
        except OSError:
            pass

def print_a_lot():
    os.write(1, b"garbage\\n" * 1_000_000)
    print("more garbage")
    return [1]

def fail():
    raise KeyError("first line\\nsecond line")

def refused(act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        return "refused"
    return "done"

def meddle():
    # What a model may try: its own files, its environment, the state folder, other processes.
    code, outside = os.path.abspath(__file__), os.path.dirname(os.getcwd())
    own = open("notes", "w")
    own.close()
    os.rename("notes", "kept")
    open("/dev/null", "w").close()
    return [[
        refused(open, code, "a"),
        refused(os.truncate, code, 0),
        refused(os.unlink, code),
        refused(open, os.path.join(sys.prefix, "poison.pth"), "w"),
        refused(os.mkdir, os.path.join(outside, "made")),
        refused(os.rename, "kept", os.path.join(outside, "made")),
        refused(os.symlink, code, os.path.join(outside, "made")),
        refused(os.kill, os.getppid(), 0),
        subprocess.run(["tee", "-a", code], input=b"#", capture_output=True).stderr.decode()[-18:],
        refused(open, "kept"),
    ]]

ACTS = {
    "meddle": meddle,
    "numbers": lambda: [1.5],
    "series": lambda: pd.Series(["a"]),
    "column": lambda: pd.DataFrame({"label": ["a"]}),
    "table": lambda: pd.DataFrame({"label": ["a"], "score": [0.5]}),
    "dict": lambda: {"label": ["a"]},
    "records": lambda: [{"label": "a"}],
    "probabilities": lambda: np.array([[0.25, 0.75]]),
    "nan": lambda: [float("nan")],
    "scalar": lambda: 3,
    "none": lambda: None,
    "too many": lambda: [1, 2],
    "empty": lambda: [],
    "bytes": lambda: [b"a"],
    "raise": fail,
    "exit": lambda: sys.exit(3),
    "print": print_a_lot,
    "read": lambda: [sys.stdin.read() or "nothing"],
    "fork": fork_and_return,
    "environment": lambda: [" ".join(sorted(os.environ))],
    "die": lambda: os._exit(9),
    "hang": lambda: time.sleep(60),
    "flood": flood,
    "fork and die": fork_and_die,
    "escape and die": escape_and_die,
    "nonsense": write_nonsense,
    "huge": lambda: np.zeros((1, 200_000_000)),
}

class Model:
    def predict(self, data, params=None):
        print("asked to", data["act"].iloc[0], file=sys.stderr)
        return ACTS[data["act"].iloc[0]]()

def _load_pyfunc(path):
    if os.path.exists(os.path.join(path, "die")):
        os._exit(3)
    return Model()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose model does what its input says."""
    folder = tmp_path_factory.mktemp("misbehaving")
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "code").mkdir()
    (folder / "code" / "misbehaving.py").write_text(MISBEHAVING)
    return folder


def loaded(folder: Path, home: Path) -> ModelProcess:
    process = ModelProcess(Path(sys.executable), "model 1", home, [folder])
    try:
        process.send("start")
        process.receive(120)
        process.send("load", {"path": str(folder)})
        process.receive(60)
    except BaseException:
        process.close()
        raise
    return process


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelProcess]:
    with loaded(folder, tmp_path_factory.mktemp("home")) as process:
        yield process


def ask(process: ModelProcess, act: str, seconds: float = 30) -> Frame:
    process.send("predict", {"columns": ["act"]}, [np.array([act], dtype=object)])
    return process.receive(seconds, Asked(rows=1, arrays=1))


@pytest.mark.parametrize(
    ("act", "answer"),
    [
        ("numbers", [1.5]),
        ("series", ["a"]),
        ("column", ["a"]),
        ("table", [["a", 0.5]]),
        ("dict", ["a"]),
        ("records", ["a"]),
        ("probabilities", [[0.25, 0.75]]),
        ("scalar", [3]),
        ("none", [None]),
        ("print", [1]),
        ("read", ["nothing"]),
        ("fork", [7]),
    ],
)
def test_answers_become_one_array(model: ModelProcess, act: str, answer: list[object]) -> None:
    assert ask(model, act).arrays[0].tolist() == answer


def test_nan_is_kept(model: ModelProcess) -> None:
    assert np.isnan(ask(model, "nan").arrays[0]).all()


@pytest.mark.parametrize(
    ("act", "text"),
    [
        ("too many", "model 1 raised ValueError: predict answered 2 (list) for 1 rows"),
        ("empty", "model 1 raised ValueError: predict answered 0 (list) for 1 rows"),
        ("bytes", "model 1 raised TypeError: a value of type bytes"),
        ("raise", "model 1 raised KeyError: 'first line\\nsecond line'"),
        ("exit", "model 1 raised SystemExit: 3"),
    ],
)
def test_what_it_raises_is_one_line_and_it_can_be_asked_again(
    model: ModelProcess, act: str, text: str
) -> None:
    with pytest.raises(ModelError) as caught:
        ask(model, act)
    assert str(caught.value) == text
    assert ask(model, "numbers").arrays[0].tolist() == [1.5]


def test_it_sees_no_secret(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN", "GITHUB_TOKEN", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "secret")
    before = model_digest(folder)
    with loaded(folder, tmp_path) as process:
        seen = set(ask(process, "environment").arrays[0][0].split())
    assert not seen & {"AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN", "GITHUB_TOKEN"}
    assert "UV_INDEX_URL" not in seen
    assert {"HOME", "PATH", "TMPDIR"} <= seen
    assert model_digest(folder) == before
    assert list(tmp_path.iterdir()) == []


def test_it_changes_nothing_but_its_own_folder(folder: Path, tmp_path: Path) -> None:
    before = model_digest(folder)
    with loaded(folder, tmp_path) as process:
        answer = ask(process, "meddle").arrays[0].tolist()
    refusals = {"-only file system\n", "Permission denied\n"}  # with mounts, and without
    assert answer[0].pop(8) in refusals
    assert answer == [["refused"] * 8 + ["done"]]
    assert model_digest(folder) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("act", "text"),
    [
        ("die", "model 1 died; found exit status 9, last printed: asked to die"),
        ("fork and die", "model 1 died; found exit status 4, last printed: asked to fork and die"),
        ("escape and die", "model 1 died; found exit status 5"),
        ("hang", "model 1 did not answer in time and was ended"),
        ("flood", "model 1 did not answer in time and was ended; found last printed: xxx"),
        ("nonsense", "model 1 answered nonsense: a header of"),
        ("huge", "model 1 answered nonsense: arrays of 1,600,000,000 bytes"),
    ],
)
def test_what_breaks_it_ends_it_soon(folder: Path, tmp_path: Path, act: str, text: str) -> None:
    with loaded(folder, tmp_path) as process:
        started = time.monotonic()
        with pytest.raises(ModelError) as caught:
            ask(process, act, seconds=2)
        assert str(caught.value).startswith(text)
        assert len(str(caught.value)) < 1500
        assert time.monotonic() - started < 20, "waited for a child that sleeps 30 s"
        with pytest.raises(ModelError, match=r"model 1"):
            ask(process, "numbers")
    assert list(tmp_path.iterdir()) == []


def test_death_while_loading_is_told(folder: Path, tmp_path: Path) -> None:
    (folder / "die").touch()
    try:
        with pytest.raises(ModelError, match="model 1 died; found exit status 3"):
            loaded(folder, tmp_path)
    finally:
        (folder / "die").unlink()


def test_an_interpreter_that_is_no_environment_is_told(tmp_path: Path) -> None:
    def start(process: ModelProcess) -> None:
        process.send("start")  # it may be gone before anything is sent
        process.receive(30)

    with ModelProcess(Path("/bin/false"), "model 1", tmp_path) as process:
        with pytest.raises(ModelError, match="model 1 died; found exit status 1"):
            start(process)
        with pytest.raises(ModelError, match="model 1 was ended"):
            start(process)


def test_it_ends_with_a_pipeline_that_is_killed(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from tests.integration import test_model_process as t\n"
        "process = t.loaded(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "print(process._process.pid, flush=True)\n"
        "t.ask(process, 'hang', 60)\n"
    )
    pipeline = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), str(tmp_path / "home")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert pipeline.stdout is not None
    with pipeline.stdout as stdout:
        child = int(stdout.readline())
        pipeline.send_signal(signal.SIGKILL)
        pipeline.wait()
    until(lambda: not _running(child), seconds=60)


def _running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
