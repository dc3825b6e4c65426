"""`python -m serving` over the model that misbehaves, as a process that a test may lose."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from model_release import ROOT
from tests.waiting import until

HERE = Path(__file__).parent
ENVIRONMENT = {
    **{name: text for name, text in os.environ.items() if not name.startswith("SERVING_")},
    "PYTHONPATH": str(ROOT),
    "PYTHONWARNINGS": "ignore",
}


def contexts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the context folders of misbehaving_servers.py, saved once a test process."""
    folder = tmp_path_factory.getbasetemp() / "misbehaving"
    if folder.exists():
        return folder
    command = [sys.executable, str(HERE / "misbehaving_servers.py"), str(folder)]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=240)
    return folder


class Served(NamedTuple):
    """One server process."""

    port: int
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def served(context: Path, log: Path, fd: int | None = None, **settings: str) -> Iterator[Served]:
    """Run the server of a context folder until the block ends, however the server ends."""
    command = [sys.executable, "-m", "serving", "--context", str(context), "--host", "127.0.0.1"]
    command += ["--port", "0"] if fd is None else ["--fd", str(fd)]
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command,
            env={**ENVIRONMENT, **settings},
            stdout=file,
            stderr=file,
            pass_fds=[] if fd is None else [fd],
            start_new_session=True,
        ) as process,
    ):
        try:
            line = re.compile(r"serving .* on .*:(\d+)")
            until(
                lambda: line.search(log.read_text()) or process.poll() is not None,
                seconds=240,
                shown=log.read_text,
            )
            found = line.search(log.read_text())
            assert found, log.read_text()
            yield Served(int(found[1]), process, log)
        finally:
            with suppress(ProcessLookupError):  # nothing is left
                os.killpg(process.pid, signal.SIGKILL)
