"""Models saved once, and servers of them: MLflow's scoring app and this one, both real."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.ports import free_port
from tests.waiting import until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns about its own type hints at its first import
    import mlflow.pyfunc  # noqa: F401

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
BY_COMMAND = ("doubles", "mixed", "tensor", "unsigned")
HASH_SEED = "0"
"""MLflow's messages show sets: in all processes they have to print in the same order."""


class Reply(NamedTuple):
    """What came back over HTTP."""

    status: int
    body: bytes
    content_type: str
    headers: dict[str, str]

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Client:
    """Sends requests over kept connections, exactly with the headers that are given."""

    IDLE_SECONDS = 2.0
    """A connection that was idle for longer is opened anew: MLflow's server closes it after 5."""

    def __init__(self) -> None:
        self._connections: dict[int, http.client.HTTPConnection] = {}
        self._used: dict[int, float] = {}

    def send(
        self,
        port: int,
        body: bytes | None = None,
        *,
        path: str = "/invocations",
        method: str = "",
        content_type: str | None = "application/json",
    ) -> Reply:
        """One request; the method is GET without a body, else POST, unless given."""
        connection = self._connections.get(port)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            self._connections[port] = connection
        elif time.monotonic() - self._used.get(port, 0.0) > self.IDLE_SECONDS:
            connection.close()
        try:
            connection.putrequest(method or ("GET" if body is None else "POST"), path)
            if content_type is not None and body is not None:
                connection.putheader("Content-Type", content_type)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):  # the next test is not to suffer for it
            connection.close()
            raise
        self._used[port] = time.monotonic()
        if response.status == 500:  # MLflow's web framework then hangs up without saying so
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, content, headers.get("content-type", ""), headers)

    def rows(self, port: int, rows: list[Any], columns: list[str]) -> Reply:
        """Rows as `dataframe_split`."""
        body = {"dataframe_split": {"columns": columns, "data": rows}}
        return self.send(port, json.dumps(body).encode())

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.close()


class Started(NamedTuple):
    """One `python -m serving` process."""

    port: int
    process: "subprocess.Popen[bytes]"


class Hold:
    """Keeps a server of the context `held` busy with requests until the test lets them go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.body = held_row(str(folder))

    def wait_until_begun(self) -> None:
        """Until the model predicts."""
        until((self._folder / "begun").exists, seconds=60, every=0.01)

    def let_go(self) -> None:
        """Whatever is held and will be is answered."""
        (self._folder / "go").touch()


def held_row(folder: str = "") -> bytes:
    """A request to the context `held`, which is answered at once unless a folder is named."""
    split = {"columns": ["hold", "value"], "data": [[folder, 1]]}
    return json.dumps({"dataframe_split": split}).encode()


def _environment(**settings: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SERVING_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **settings}


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one context folder a model (see build_models.py)."""
    folder = tmp_path_factory.mktemp("contexts")
    command = [sys.executable, str(HERE / "build_models.py"), str(folder)]
    subprocess.run(command, check=True, env=_environment(), capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="session")
def both_servers(contexts: Path) -> Iterator[dict[str, dict[str, int]]]:
    """Ports of every model, by name, then `mlflow` or `serving`.

    For the models in BY_COMMAND, `mlflow` is `mlflow models serve` itself; for the others it is
    the same app, hosted with this server in one process (see both_servers.py).
    """
    command = [sys.executable, str(HERE / "both_servers.py"), str(contexts)]
    with (
        ExitStack() as stack,
        subprocess.Popen(
            command,
            env=_environment(PYTHONHASHSEED=HASH_SEED),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        commands = {name: _mlflow_models_serve(contexts / name, stack) for name in BY_COMMAND}
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        for name, port in commands.items():
            until(lambda port=port: _answers_ping(port), seconds=240)
            ports[name]["mlflow"] = port
        yield ports
        process.communicate(timeout=30)
        assert process.returncode == 0


def _mlflow_models_serve(context: Path, stack: ExitStack) -> int:
    """Start MLflow's own command for the model of a context; its port."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    process = subprocess.Popen(
        [*command, "--model-uri", str(context / "model"), "--port", str(port)],
        env=_environment(
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # it calls `uvicorn`
            PYTHONHASHSEED=HASH_SEED,
            MLFLOW_DISABLE_TELEMETRY="true",
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def end() -> None:
        os.killpg(process.pid, signal.SIGKILL)  # the command and the server that it starts
        process.wait(timeout=30)

    stack.callback(end)
    return port


def _answers_ping(port: int) -> bool:
    with suppress(OSError), closing(Client()) as client:
        return client.send(port, path="/ping").status == 200
    return False


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Sends requests to the servers."""
    shared = Client()
    yield shared
    shared.close()


@pytest.fixture
def new_client() -> Iterator[Callable[[], Client]]:
    """Makes clients with connections of their own; all are closed after the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Client()))


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """See `Hold`."""
    folder = tmp_path / "hold"
    folder.mkdir()
    made = Hold(folder)
    yield made
    made.let_go()


@pytest.fixture
def start(contexts: Path, tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """`start(name, SERVING_…="…")` runs the server of one context on a free port."""
    with ExitStack() as stack:

        def run(name: str, **settings: str) -> Started:
            log = stack.enter_context((tmp_path / "log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "serving", "--host", "127.0.0.1", "--port", "0"],
                cwd=contexts / name,
                env=_environment(**settings),
                stderr=log,
                stdout=log,
            )
            stack.callback(_end, process)
            return Started(_port(tmp_path / "log", process), process)

        yield run


def _port(log: Path, process: "subprocess.Popen[bytes]") -> int:
    """The port that the server says it listens on."""
    line = re.compile(r"serving .* on .*:(\d+)")
    ended = process.poll
    until(
        lambda: line.search(log.read_text()) or ended() is not None,
        seconds=240,
        shown=log.read_text,
    )
    found = line.search(log.read_text())
    assert found, f"the server did not start: {log.read_text()}"
    return int(found[1])


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
    process.wait(timeout=30)
