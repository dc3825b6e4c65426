"""What a model says of its own time and memory is never taken for a measurement."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from model_release.gates import latency, loadable
from model_release.gates.evidence import Claims, Load, Timing
from model_release.measurement.subject import MeasuredModel, Subject
from model_release.measurement.timing import Timed, time_rows
from model_release.model_process.client import ModelError
from model_release.processes import sandbox
from model_release.processes.accounting import TreeMemory
from model_release.processes.confinement import Policy

pytestmark = pytest.mark.long

MLMODEL = """
flavors:
  python_function: {loader_module: lying, code: code}
model_uuid: 00000000000000000000000000000000
"""

LYING = """
import json, math, mmap, os, struct, sys, time
import numpy as np

def pause(seconds, clock=time.CLOCK_MONOTONIC, now=time.clock_gettime):
    until = now(clock) + seconds
    while now(clock) < until:
        pass

def replies():
    "The pipes that can be written to; the service answers on one of them."
    return [number for number in range(3, 20) if is_pipe(number)]

def is_pipe(number):
    try:
        return os.readlink(f"/proc/self/fd/{number}").startswith("pipe:")
    except OSError:
        return False

def asked():
    "The header of the command that is being carried out, id and all."
    frame = sys._getframe()
    while frame := frame.f_back:
        if hasattr(frame.f_locals.get("frame"), "header"):
            return frame.f_locals["frame"].header
    return {}

def answer(header, *arrays):
    text = json.dumps({**header, "id": asked().get("id"), "arrays": [
        {"dtype": "<i8", "shape": [len(one)], "bytes": 8 * len(one)} for one in arrays
    ]}).encode()
    body = b"".join(struct.pack(f"<{len(one)}q", *one) for one in arrays)
    for pipe in replies():
        try:
            os.write(pipe, struct.pack(">Q", len(text)) + text + body)
        except OSError:
            pass

def fill(mib):
    memory = mmap.mmap(-1, mib * 2**20)
    for page in range(0, len(memory), 4096):
        memory[page] = 1
    return memory

def hold_in_child(mib, leave):
    "Hold memory in a process that is started; `leave`: and that is left by the one between."
    reader, writer = os.pipe()
    if os.fork() == 0:
        if leave:
            os.setsid()
            if os.fork():
                os._exit(0)
        kept = fill(mib)
        os.write(writer, b"filled")
        time.sleep(600)
        os._exit(0)
    os.read(reader, 6)

def free_and_forget(mib):
    fill(mib).close()
    try:
        with open("/proc/self/clear_refs", "w") as counters:
            counters.write("5")
    except OSError:
        pass

class Model:
    def predict(self, data, params=None):
        {predict}
        return np.ones(len(data), dtype="int64")

def _load_pyfunc(path):
    {load}
    return Model()
"""

HIDDEN_MIB = 700
MIB = 2**20

Make = Callable[..., Subject]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Subject]]:
    """Makes a model that does something when it is loaded, and when it is asked; not loaded yet."""
    made: list[Subject] = []

    def make(load: str = "pass", predict: str = "pass") -> Subject:
        folder = tmp_path / "model"
        (folder / "code").mkdir(parents=True)
        (folder / "MLmodel").write_text(MLMODEL)
        code = LYING.replace("{load}", load).replace("{predict}", predict)
        (folder / "code" / "lying.py").write_text(code)
        model = MeasuredModel("liar", "1", "READY", folder, "", None, Claims("", {}), None)
        subject = Subject(model, tmp_path / "home", seconds=60)
        made.append(subject)
        subject.start(Path(sys.executable))
        return subject

    yield make
    for subject in made:
        subject.close()


def loaded(subject: Subject) -> Load:
    subject.started()
    subject.load()
    return subject.loaded(60)


def timed(subject: Subject) -> Timed:
    assert loaded(subject).problem == ""
    rows = [np.arange(4.0)]
    return time_rows(subject, ["x"], rows, single=8, batch_rows=4)


CLOCKS = "time.perf_counter = time.monotonic = time.time = lambda: 0.0"


def test_a_clock_that_stands_still_hides_no_time(make: Make) -> None:
    subject = make(load=f"{CLOCKS}; pause(1.5)", predict="pause(0.03)")
    assert loaded(subject).seconds >= 1.5
    times = time_rows(subject, ["x"], [np.arange(4.0)], single=8, batch_rows=4)
    assert min(times.single_ms) >= 30
    assert min(times.batch_ms) >= 30


def test_seconds_and_bytes_that_it_writes_itself_are_not_read(make: Make) -> None:
    forged = 'answer({"seconds": -982.98, "memory_bytes": 40 * 2**20})'
    load = loaded(make(load=f"{forged}; pause(0.5)"))
    assert load.problem.startswith("liar 1 answered what it was not asked")
    assert loadable.judge(load, loadable.Limits()).status == "failed"


@pytest.mark.parametrize(
    "predict",
    [
        "answer({}, [1] * len(data)); pause(0.03)",
        "[answer({}, [1] * len(data)) for _ in range(99)]; pause(0.03)",
        'answer({"seconds": math.nan}, [0] * 8, [0] * 20, [1] * 4, [1] * 4); pause(0.03)',
    ],
    ids=["once", "often", "with its own times"],
)
def test_an_answer_before_the_prediction_is_found(make: Make, predict: str) -> None:
    subject = make(predict=predict)
    with pytest.raises(ModelError, match="liar 1 answered"):
        timed(subject)
    assert subject.problem, "it may be asked again"


@pytest.mark.parametrize("leave", [False, True], ids=["child", "orphan"])
def test_memory_of_what_it_starts_is_its_memory(make: Make, leave: bool) -> None:
    load = loaded(make(load=f"hold_in_child({HIDDEN_MIB}, {leave})"))
    assert load.problem == ""
    assert HIDDEN_MIB < load.memory_bytes / MIB < 2.5 * HIDDEN_MIB


def test_memory_that_it_has_freed_counts(make: Make) -> None:
    load = loaded(make(load=f"free_and_forget({HIDDEN_MIB})"))
    assert load.problem == ""
    assert HIDDEN_MIB < load.memory_bytes / MIB < 2 * HIDDEN_MIB


def test_a_model_that_loads_when_it_is_first_asked_is_honest(make: Make) -> None:
    lazy = (
        "self.__dict__.setdefault('weights', None) or pause(0.5) or setattr(self, 'weights', [1])"
    )
    times = timed(make(predict=lazy))
    assert sorted(times.single_ms)[len(times.single_ms) // 2] < 250
    assert (len(times.single_ms), len(times.batch_ms)) == (8, 20)
    assert times.alone.tolist() == times.together.tolist() == [1] * 4


@pytest.mark.parametrize("value", [-982.98, float("nan"), float("inf")])
def test_a_measurement_that_cannot_be_is_never_passed(value: float) -> None:
    assert loadable.judge(Load(value, 40 * MIB), loadable.Limits()).status == "failed"
    times = Timing((value,) * 20, (1.0,) * 20, 4, 1000)
    assert latency.judge(times, latency.Limits()).status == "failed"
    assert loadable.judge(Load(1.0, 0), loadable.Limits()).status == "failed"


def test_processes_one_below_the_other_are_counted(tmp_path: Path) -> None:
    """A model may start them deeper than recursion goes, of which this test leaves little."""
    code = """
import os, time
for _ in range(150):
    if os.fork():
        os.wait()
        os._exit(0)
print("there", flush=True)
time.sleep(10_000)
"""
    policy = Policy(str(tmp_path), sandbox.interpreter_reads(Path(sys.executable)))
    with subprocess.Popen(
        sandbox.command(policy, [sys.executable, "-I", "-S", "-c", code]), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"there\n"
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(len(inspect.stack()) + 100)
        try:
            assert TreeMemory(process.pid).sample() > 150 * 2**12
        finally:
            sys.setrecursionlimit(before)
            process.terminate()
