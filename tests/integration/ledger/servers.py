"""Real servers for the ledger's tests: PostgreSQL, MLflow, SeaweedFS."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.ports import free_port
from tests.waiting import until

START_SECONDS = 240.0
"""A server imports for minutes on a machine that has everything else to do as well."""


def answers(url: str) -> bool:
    """Whether a URL answers with 200."""
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


@contextmanager
def running(
    command: list[str],
    ready: Callable[[], bool],
    log: Path,
    environment: dict[str, str] | None = None,
) -> Iterator[None]:
    """A server in a process group of its own, ready, and ended afterwards."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:

        def said() -> str:
            return f"{command[0]}: {log.read_text(errors='replace')[-2000:]}"

        until(lambda: ready() or process.poll() is not None, seconds=START_SECONDS, shown=said)
        assert process.poll() is None, said()
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


@contextmanager
def mlflow_server(
    store: str, folder: Path, artifacts: str, environment: dict[str, str] | None = None
) -> Iterator[str]:
    """MLflow's server on a database; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", store, "--artifacts-destination", artifacts, "--workers", "1"),
    ]
    # Its job runners, seven processes more, take longer to start and to end than all else.
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
    }
    log, settings = folder / "mlflow.log", quiet | (environment or {})
    with running(command, lambda: answers(f"{url}/health"), log, settings):
        yield url


@contextmanager
def postgres() -> Iterator[str]:
    """Debian's PostgreSQL on a folder of its own; yields SQLAlchemy's URI of it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    tools = found[-1] if found else None
    if tools is None or not (tools / "initdb").exists():
        pytest.skip("no PostgreSQL: Debian's package postgresql is not installed")
    # Not below pytest's folder: it is closed to others, and the server refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="release-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user, user)
    port = free_port()

    def call(*command: str) -> None:
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            subprocess.run(
                command, check=True, user=user, group=user, extra_groups=[] if user else None,
                cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=120,
            )  # fmt: skip

    data = str(folder / "data")
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
    try:
        call(str(tools / "initdb"), "-D", data, "-U", "mlflow", "-A", "trust", "-E", "UTF8")
        call(str(tools / "pg_ctl"), "-D", data, "-w", "-t", "100", "-o", options, "start")
        yield f"postgresql+psycopg://mlflow@127.0.0.1:{port}/postgres"
    finally:
        if Path(data, "postmaster.pid").exists():
            call(str(tools / "pg_ctl"), "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


@contextmanager
def seaweed(folder: Path) -> Iterator[str]:
    """SeaweedFS with its S3 gateway; yields the gateway's address."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if weed is None:
        pytest.skip("no SeaweedFS: weed is not on PATH")
    ports = {name: free_port() for name in ("s3", "master", "volume", "filer")}
    grpc = {name: free_port() for name in ("s3", "master", "volume", "filer")}
    data = folder / "weed"
    data.mkdir()
    command = [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-s3", "-filer"]
    command += ["-master.volumeSizeLimitMB=64", "-volume.max=8", "-ip.bind=127.0.0.1"]
    # Both would listen on one port of the machine, where a second server finds the first.
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    for name in ports:
        command += [f"-{name}.port={ports[name]}", f"-{name}.port.grpc={grpc[name]}"]
    url = f"http://127.0.0.1:{ports['s3']}"
    with running(command, lambda: answers(f"{url}/healthz"), folder / "weed.log"):
        yield url
