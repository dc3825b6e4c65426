"""A model's server on the local target: what the pipeline believes of it, it cannot write."""

import json
import os
import signal
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.hostile.conftest import SECRET, Planted
from tests.integration.local_target.local_servers import LocalServers
from tests.waiting import until

MODEL = """
import glob, os, socket, subprocess, sys
import mlflow

PORT, CONTROL, FILES, VICTIM = __FACTS__

def tried(act):
    try:
        act()
    except OSError:
        return []
    return [1]

def connect(family, address):
    with socket.socket(family) as caller:
        caller.connect(address)

def link_log():
    os.unlink("../log")
    os.symlink("/proc/self/environ", "../log")

def claim():
    with open("../state.json", "w") as state:
        state.write('{"pid": %d, "phase": "serving"}' % VICTIM)

ACTS = {
    "name another process as its own": claim,
    "link its log to an environment": link_log,
    "delete its lock": lambda: os.unlink("../lock"),
    "take its keeper's place": lambda: os.unlink("../control"),
    "read a secret": lambda: [open(each).close() for each in FILES],
    "read the keeper's environment": lambda: open(f"/proc/{os.getppid()}/environ").close(),
    "see other releases": lambda: os.listdir("../.."),
    "take the public socket": lambda: [
        connect(socket.AF_UNIX, each) for each in glob.glob("../../*/control") or ["../control"]
    ],
    "call the container engine": lambda: connect(socket.AF_UNIX, CONTROL),
    "call a host": lambda: connect(socket.AF_INET, ("127.0.0.1", PORT)),
    "kill another": lambda: os.kill(VICTIM, 9),
}

class Hostile(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        if os.fork() == 0:
            os.setsid()
            os.execvp("sleep", ["sleep", "10001"])
        self.done = [name for name, act in ACTS.items() if tried(act)]

    def predict(self, context, model_input: list[str]) -> list[str]:
        return ["; ".join(self.done) or "nothing"]

mlflow.models.set_model(Hostile())
"""


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user that has nothing to do with any model."""
    with subprocess.Popen(["sleep", "10000"], start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def servers(
    tmp_path: Path, planted: Planted, victim: subprocess.Popen[bytes]
) -> Iterator[LocalServers]:
    folder = tmp_path / "servers"
    folder.mkdir()
    facts = (planted.port, planted.control, planted.files, victim.pid)
    (folder / "model.py").write_text(MODEL.replace("__FACTS__", repr(facts)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        (folder / "version").write_text("?")
        mlflow.pyfunc.save_model(
            folder / "model",
            python_model=str(folder / "model.py"),
            artifacts={"version": str(folder / "version")},
            pip_requirements=[],
        )
    made = LocalServers(folder, folder / "model")
    yield made
    made.target.stop()


def _ask(url: str) -> str:
    request = Request(
        f"{url}/invocations",
        json.dumps({"inputs": ["what"]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["predictions"][0])


def test_a_server_changes_and_reaches_nothing(
    servers: LocalServers,
    planted: Planted,
    victim: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    running = servers.deploy("1")
    assert _ask(running.url) == "nothing"
    server = servers.slot.current()
    assert server
    state = server.state()
    assert state
    assert state.pid != victim.pid
    left = _processes("sleep 10001")
    assert left
    assert SECRET not in server.log.read_text() + server.last_words()
    servers.target.stop()
    assert not server.alive
    assert victim.poll() is None
    assert not set(left) & set(_processes("sleep 10001"))
    assert planted.stolen == {}


def test_a_keeper_that_is_killed_takes_its_server_with_it(servers: LocalServers) -> None:
    servers.deploy("1")
    server = servers.slot.current()
    assert server
    state = server.state()
    assert state
    os.kill(state.pid, signal.SIGKILL)
    until(lambda: not server.alive, seconds=60)
    assert not _processes(f"server.py --context {servers.folder}")
    subprocess.run(["pkill", "-f", "sleep 10001"], check=False)  # an orphan: nobody kept it


def _processes(command: str) -> list[str]:
    done = subprocess.run(["pgrep", "-f", command], capture_output=True, text=True, check=False)
    return done.stdout.split()
