"""The whole road as its users run it: scripts in processes of their own, one story."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
MODEL = "iris-classifier"
BETTER = ("--n-estimators", "200", "--max-depth", "8")
WORSE = ("--n-estimators", "1", "--max-depth", "1")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Machine:
    """A state folder and two ports of its own, and the commands run there."""

    home: Path
    environment: dict[str, str]

    @property
    def production(self) -> str:
        return f"http://127.0.0.1:{self.environment['PRODUCTION_PORT']}"

    def start(
        self,
        script: str,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=self.home.parent,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, script: str, *arguments: str, code: int = 0) -> tuple[str, str]:
        process = self.start(script, *arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, (
            f"{script} {arguments}: {process.returncode}\n{err}\n{out}"
        )
        return out, err

    def on_terminal(self, answer: str, script: str, *arguments: str) -> tuple[int, str, str]:
        """Run at a terminal and answer its question; exit code, standard output and error."""
        ours, theirs = pty.openpty()
        process = self.start(script, *arguments, stdin=theirs, stderr=theirs)
        os.close(theirs)
        shown = ""
        with suppress(OSError):  # how a terminal says that the other side is gone
            while read := os.read(ours, 4096):
                shown += read.decode()
                if answer and "[y/N] " in shown:
                    os.write(ours, f"{answer}\n".encode())
                    answer = ""
        os.close(ours)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out, shown

    def release(self, *arguments: str, code: int = 0) -> dict[str, object]:
        out, _ = self.run("scripts/run_release.py", "--format", "json", *arguments, code=code)
        found: dict[str, object] = json.loads(out)
        return found

    def train(self, *arguments: str) -> None:
        self.run("examples/train_sklearn.py", *arguments)

    def champion(self) -> str | None:
        out, _ = self.run("scripts/release_status.py", "--format", "json")
        found = [d for d in json.loads(out)["deployments"] if d["environment"] == "production"]
        return str(found[0]["champion"]) if found else None


@pytest.fixture
def machine(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = tmp_path / "state"
    home.mkdir()
    for name in ("locks", "environments"):
        shared = tmp_path_factory.getbasetemp().parent / "shared" / name
        shared.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(shared)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "GITHUB_"))},
        "MODEL_NAME": MODEL,
        "MODEL_VERSION": "",
        "RELEASE_HOME": str(home),
        "STAGING_PORT": str(free_port()),
        "PRODUCTION_PORT": str(free_port()),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    made = Machine(home, environment)
    # The example trains into the embedded registry, as the README says to.
    made.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{home}/mlflow.db"
    yield made
    made.run("scripts/release_status.py", "--stop")


@dataclass
class Stream:
    """Requests to production, one after another, until stopped: with and without keep-alive."""

    url: str
    body: str
    failures: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    count: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Stream":
        self._threads = [threading.Thread(target=self._run, args=(keep,)) for keep in (True, False)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keep_alive: bool) -> None:
        headers = {"Content-Type": "application/json"}
        session = requests.Session()
        session.trust_env = False
        while not self._stop.is_set():
            try:
                answer = session.post(
                    f"{self.url}/invocations", data=self.body, headers=headers, timeout=30
                )
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code}: {answer.text[:100]}")
                self.versions.add(session.get(f"{self.url}/model", timeout=30).json()["version"])
            except requests.RequestException as error:
                self.failures.append(repr(error))
            self.count += 1
            if not keep_alive:
                session.close()
            time.sleep(0.005)


def body_of_example(home: Path) -> str:
    example = next(home.glob("contexts/*/model/serving_input_example.json"))
    return example.read_text()


def test_first_better_and_worse_version(machine: Machine) -> None:
    code, out, shown = machine.on_terminal("n", "scripts/run_release.py")
    assert code == 1
    assert "▶ train" in shown, "an empty registry gets the example trained"
    assert "refused: iris-classifier 1: rejected by" in shown
    assert machine.champion() is None

    code, out, shown = machine.on_terminal("y", "scripts/run_release.py")
    assert code == 0, shown
    assert "(asked on the terminal)" in out
    assert machine.champion() == "1"

    pasted = next(line for line in out.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
    assert len(json.loads(answer.stdout)["predictions"]) == 3

    machine.train(*BETTER)
    with Stream(machine.production, body_of_example(machine.home)) as stream:
        report = machine.release()
        time.sleep(0.5)
    assert stream.failures == []
    assert stream.versions == {"1", "2"}
    assert stream.count > 200
    assert report["version"] == machine.champion() == "2"

    before = requests.get(f"{machine.production}/model", timeout=5).json()
    machine.train(*WORSE)
    _, err = machine.run("scripts/run_release.py", code=1)
    assert re.search(r"^refused: iris-classifier 3: gate claimed_metrics failed", err, re.MULTILINE)
    assert requests.get(f"{machine.production}/model", timeout=5).json() == before
    assert machine.champion() == "2"

    again = machine.release("--model-version", "2")
    assert again["release"] == report["release"]
    assert requests.get(f"{machine.production}/model", timeout=5).json() == before


KILL_AT = (
    "files of",
    "integrity",
    "loadable",
    "golden",
    "▶ build",
    "context",
    "▶ deploy to staging",
    "starting",
    "verifying",
    "▶ smoke",
    "/invocations",
    "▶ deploy to production",
    "verifying",
    "draining",
    "▶ promote",
)


def kill_at(machine: Machine, text: str) -> bool:
    """Start a release of version 2 and kill it at the first line that contains `text`."""
    process = machine.start("scripts/run_release.py", "--model-version", "2")
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate(timeout=120)
    return process.returncode == -signal.SIGKILL


def test_killed_at_every_step_it_goes_on_and_ends_in_the_same_state(machine: Machine) -> None:
    machine.release()
    machine.train(*BETTER)
    killed = []
    with Stream(machine.production, body_of_example(machine.home)) as stream:
        for text in KILL_AT:
            if kill_at(machine, text):
                killed.append(text)
        report = machine.release("--model-version", "2")
        time.sleep(0.3)
    assert stream.failures == []
    assert len(killed) >= 12, f"killed only at {killed}"
    assert report["version"] == machine.champion() == "2"
    serving = requests.get(f"{machine.production}/model", timeout=5).json()
    assert (serving["version"], serving["digest"]) == ("2", report["digest"])
    servers = subprocess.run(
        ["pgrep", "-f", f"server_process.*{machine.home}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(servers.stdout.split()) == 2, "one server in staging, one in production, no orphan"
