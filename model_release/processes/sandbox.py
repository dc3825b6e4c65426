"""Starts a program that will run model code, confined from before its first instruction.

    python -I -S -B sandbox.py POLICY [COMMAND ARGUMENT …]     POLICY: the JSON of a `Policy`

Without a command it prints which protections this system has not, as JSON.
The interpreter that runs this file is the pipeline's own: a package among a model's requirements
may run code when the model's interpreter starts, so that one is started inside. Two processes:

- the confined one (`confinement`) becomes COMMAND. It and whatever it starts read and write no file
  but what the policy names and what every program needs, open no socket, read no other process's
  environment, send signals to nobody outside, and take no more than the kernel allows them.
- the one above it waits. When COMMAND ends, or SIGTERM comes, or whoever started it ends, it ends
  all that COMMAND has started, whatever session that went to, and exits as COMMAND did.

Standard library only.
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

if not __package__:  # run by its path, under `-I -S`: nothing else says where the library is
    sys.path[0:0] = [str(Path(__file__).resolve().parents[2])]

from model_release.processes.confinement import Policy, bound_signals, confine, mount

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


def command(policy: Policy, program: Sequence[str]) -> list[str]:
    """The command that runs `program` confined to `policy`, by this interpreter."""
    return [sys.executable, "-I", "-S", "-B", __file__, json.dumps(asdict(policy)), *program]


def interpreter_reads(python: Path) -> list[str]:
    """What an environment's interpreter reads: the environment, and the Python it was made of."""
    return [str(python.absolute().parents[1]), str(python.resolve().parents[1])]


def run_confined(
    policy: Policy,
    program: Sequence[str],
    *,
    env: Mapping[str, str],
    seconds: float,
    given: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program confined to `policy`, in its own folder, until it and what it started ended.

    `given` is what it reads on standard input.

    Raises:
        subprocess.TimeoutExpired: it did not end in time; it has been ended.
    """
    with subprocess.Popen(
        command(policy, program),
        cwd=policy.own,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            out, err = process.communicate(given, timeout=seconds)
        finally:
            process.terminate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@cache
def missing() -> Sequence[str]:
    """Which protections this system does not have, such as "sockets kept from it (…)"."""
    with tempfile.TemporaryDirectory() as own:
        done = run_confined(Policy(own, mounted=True), [], env={}, seconds=60)
    return tuple(json.loads(done.stdout))


def start_confined(
    policy: Policy,
    program: Sequence[str],
    lock: int | None = None,
    unmounted: str | None = None,
) -> int:
    """Start `program` confined, as a child that ends when this process ends; return its number.

    The descriptor `lock` is locked as long as the child lives (fcntl(2): what it forks holds none).
    `unmounted` is what `mount` answered this process; without it, the child mounts for itself.
    """
    if child := os.fork():
        return child
    try:
        os.setsid()
        if lock is not None:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            os.set_inheritable(lock, True)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        missing = confine(policy, mount(policy) if unmounted is None else unmounted)
        if not program:
            os.write(1, json.dumps(missing).encode())
            os._exit(0)
        if missing:
            os.write(
                2, f"warning: model code is not confined: no {'; no '.join(missing)}\n".encode()
            )
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execv(program[0], list(program))  # noqa: S606
    except BaseException as error:  # noqa: BLE001 - nothing of this file goes on in this process
        os.write(2, f"error: {program[0]} cannot be started: {error}\n".encode())
    os._exit(127)


def adopt() -> None:
    """Be given the orphans among this process's descendants; block `SIGNALS`, to be waited for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def reap(child: int) -> tuple[bool, int]:
    """Reap who has ended by now, as SIGCHLD says: whether `child` has, and its wait status."""
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended in (0, child):
            return ended == child, status


def end_all(*, alone: bool = False) -> None:
    """End every process that came of this one, and wait until they are gone.

    Where they are `alone` (`bound_signals`), all at once: whoever forks faster than they are ended
    one by one would stay.
    """
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        for child in ["-1"] if alone else children.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)  # its children are given to this process
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return


def main() -> int:
    """Run the command confined, end what it left; return its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    adopt()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    policy = Policy(**json.loads(sys.argv[1]))
    unmounted = mount(policy)
    alone = bound_signals()
    child = start_confined(policy, sys.argv[2:], unmounted=unmounted)
    nothing = os.open(os.devnull, os.O_RDWR)
    for pipe in range(3):  # they are the command's: whoever reads them sees its end
        os.dup2(nothing, pipe)
    ended, status = False, 0
    while not ended and signal.sigwait(SIGNALS) == signal.SIGCHLD:
        ended, status = reap(child)
    end_all(alone=alone)
    if not ended:
        return 128 + signal.SIGTERM
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    raise SystemExit(main())
