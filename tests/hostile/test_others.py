"""A confined process changes nobody else: no mode of a file, no limit of a process, no key."""

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_release.processes import sandbox
from model_release.processes.confinement import Policy
from model_release.processes.environments import without_secrets
from model_release.processes.system_calls import filter_calls

ATTEMPTS = """
import ctypes, json, os, resource, subprocess, sys
file, victim, key = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
libc = ctypes.CDLL(None, use_errno=True)
calls = {"x86_64": (248, 249), "aarch64": (217, 218)}[os.uname().machine]

def called(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")

ATTEMPTS = {
    "its mode": lambda: os.chmod(file, 0o666),
    "its owner": lambda: os.chown(file, os.getuid(), os.getgid()),
    "its times": lambda: os.utime(file, (0, 0)),
    "its attributes": lambda: os.setxattr(file, b"user.hostile", b"1"),
    "a limit": lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE, (1, 1)),
    "a priority": lambda: os.setpriority(os.PRIO_PROCESS, victim, 19),
    "the priority of all": lambda: os.setpriority(os.PRIO_USER, 0, 19),
    "a schedule": lambda: os.sched_setscheduler(victim, os.SCHED_IDLE, os.sched_param(0)),
    "a key": lambda: called(libc.syscall(calls[0], b"user", key, b"1", ctypes.c_size_t(1), -3)),
    "another's key": lambda: called(libc.syscall(calls[1], b"user", key, None, 0)),
}
done = []
for what, attempt in ATTEMPTS.items():
    try:
        attempt()
        done.append(what)
    except OSError:
        pass

# What honest code does to itself and in its own folder goes on.
with open("program", "w") as program:
    program.write("#!/bin/sh\\necho ran")
os.chmod("program", 0o700)
os.utime("program", (0, 0))
os.mkdir("folder")
os.rename("program", "folder/program")
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
os.nice(1)
ran = subprocess.run(["folder/program"], capture_output=True, text=True, check=True).stdout
print(json.dumps(done), ran, end="")
"""


def _seen(file: Path, victim: int) -> tuple[Any, ...]:
    there = file.stat()
    limit = resource.prlimit(victim, resource.RLIMIT_NOFILE)
    priority = os.getpriority(os.PRIO_PROCESS, victim)
    return there.st_mode, there.st_ctime_ns, limit, priority, os.sched_getscheduler(victim)


@pytest.mark.parametrize("policy", ["a model's", "a build's"])
def test_what_others_have_stays_as_it_is(tmp_path: Path, policy: str) -> None:
    if missing := sandbox.missing():
        pytest.skip(f"this machine has no {'; no '.join(missing)}")
    own, file = tmp_path / "own", tmp_path / "file"
    own.mkdir()
    file.write_text("somebody's")
    python = Path(sys.executable)
    reads = sandbox.interpreter_reads(python)
    build = policy == "a build's"
    with subprocess.Popen(["sleep", "10000"]) as victim:
        before = _seen(file, victim.pid)
        done = sandbox.run_confined(
            Policy(str(own), reads, network=build, mounted=not build),
            [str(python), "-I", "-c", ATTEMPTS, str(file), str(victim.pid), tmp_path.name],
            env=without_secrets(own),
            seconds=60,
        )
        after = _seen(file, victim.pid)
        victim.kill()
    assert (done.stdout, done.stderr) == ("[] ran\n", "")
    assert after == before


def test_where_mounts_are_not_allowed_a_mode_stays_as_well(tmp_path: Path) -> None:
    """Copying a file sets its mode and times: that goes on, and does nothing."""
    file = tmp_path / "file"
    file.write_text("somebody's")
    before = file.stat()
    if (child := os.fork()) == 0:
        try:
            missing = filter_calls(ctypes.CDLL(None, use_errno=True), sockets=False, changes=False)
            file.chmod(0o666)
            os.utime(file, (0, 0))
            os._exit(1 if missing else 0)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert file.stat() == before
