"""Several worker processes on one listening socket, and the end of all when one ends."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from serving import metrics
from serving.errors import ServingError
from serving.settings import Settings

MARGIN_SECONDS = 5.0


def run_workers(context: Path, bound: socket.socket, settings: Settings) -> None:
    """Start workers that accept from `bound`, pass signals on, wait for all of them.

    Once they are told to stop, whoever has not drained in time is killed.

    Raises:
        ServingError: a worker ended by itself; the others were stopped, each drained.
    """
    bound.listen(2048)
    folder = metrics.share()
    command = [sys.executable, "-m", "serving", "--context", str(context)]
    command += ["--fd", str(bound.fileno())]
    environment = {**os.environ, "SERVING_WORKERS": "1"}
    workers = [
        subprocess.Popen(command, pass_fds=[bound.fileno()], env=environment)
        for _ in range(settings.workers)
    ]
    bound.close()
    try:
        _wait(workers, settings.drain_seconds + MARGIN_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(workers: list[subprocess.Popen[bytes]], drain_seconds: float) -> None:
    asked = False

    def drain() -> None:
        _send(workers, signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, drain_seconds)

    def stop(*_: object) -> None:
        nonlocal asked
        asked = True
        drain()

    signal.signal(signal.SIGALRM, lambda *_: _send(workers, signal.SIGKILL))
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)
    signal.signal(signal.SIGUSR1, lambda *_: _send(workers, signal.SIGUSR1))
    by_pid = {worker.pid: worker for worker in workers}
    found = ""
    while by_pid:
        pid, status = os.wait()
        ended = by_pid.pop(pid)
        ended.returncode = os.waitstatus_to_exitcode(status)
        if ended.returncode != 0 or not asked:
            found = found or f"exit code {ended.returncode} of process {pid}"
            drain()
    if found:
        raise ServingError(
            "a worker process",
            expected="to run until it is told to stop",
            found=found,
            next_step="read its log lines above; 137 or -9 often means the memory limit",
        )


def _send(workers: list[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for worker in workers:
        if worker.returncode is None:  # not waited for yet: the number is no other's
            os.kill(worker.pid, number)
