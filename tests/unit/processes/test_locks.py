"""Locks between processes: one at a time, the holder named, freed by any death."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from model_release.errors import OutsideError
from model_release.processes.locks import file_lock, is_held

HOLD = """
import sys
from pathlib import Path
from model_release.processes.locks import file_lock
with file_lock(Path(sys.argv[1]), "the test"):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_held_only_inside_the_block(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "lock"
    assert not is_held(path)
    with file_lock(path, "the test"):
        assert is_held(path)
    assert not is_held(path)
    assert path.read_text() == ""


def test_second_process_is_told_who_holds_it_and_a_killed_holder_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path) as holder:
        try:
            with (
                pytest.raises(OutsideError, match=r"^the test is busy") as refused,
                file_lock(path, "the test", 0.1),
            ):
                pytest.fail("two holders")
        finally:
            holder.send_signal(signal.SIGKILL)
    assert re.search(
        rf"found process {holder.pid} \(-c, since \d\d:\d\d:\d\d\)", str(refused.value)
    )
    with file_lock(path, "the test", 5):
        assert f"process {os.getpid()} " in path.read_text()


def test_waits_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    entered = threading.Event()

    def wait() -> None:
        with file_lock(path, "the test", 30):
            entered.set()

    waiter = threading.Thread(target=wait)
    with file_lock(path, "the test"):
        waiter.start()
        assert not entered.wait(0.2)
    assert entered.wait(30)
    waiter.join()


def test_an_error_inside_the_block_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), file_lock(tmp_path / "lock", "the test"):
        _ = 1 / 0
    assert not is_held(tmp_path / "lock")


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    with file_lock(tmp_path / "lock", "the test"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert not is_held(tmp_path / "lock")
    child.communicate(b"\n")
