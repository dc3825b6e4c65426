"""The whole road as its users run it: scripts in processes of their own."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.integration.script_runner import ScriptRunner, make_script_runner
from tests.waiting import until

BETTER = ("--n-estimators", "200", "--max-depth", "8")
WORSE = ("--n-estimators", "1", "--max-depth", "1")


@pytest.fixture
def runner(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptRunner]:
    made = make_script_runner(tmp_path, tmp_path_factory.getbasetemp().parent / "shared")
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
            self._stop.wait(0.005)


def body_of_example(home: Path) -> str:
    example = next(home.glob("contexts/*/model/serving_input_example.json"))
    return example.read_text()


@pytest.mark.long
def test_first_better_and_worse_version(runner: ScriptRunner) -> None:
    code, out, shown = runner.on_terminal("n", "scripts/run_release.py")
    assert code == 1
    assert "▶ train" in shown, "an empty registry gets the example trained"
    assert "refused: iris-classifier 1: rejected by" in shown
    assert runner.champion() is None

    code, out, shown = runner.on_terminal("y", "scripts/run_release.py")
    assert code == 0, shown
    assert "(asked on the terminal)" in out
    assert runner.champion() == "1"

    pasted = next(line for line in out.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
    assert len(json.loads(answer.stdout)["predictions"]) == 3

    runner.train(*BETTER)
    with Stream(runner.production, body_of_example(runner.home)) as stream:
        report = runner.release()
        until(lambda: stream.failures or "2" in stream.versions, seconds=60)
    assert stream.failures == []
    assert stream.versions == {"1", "2"}
    assert stream.count > 200
    assert report["version"] == runner.champion() == "2"

    before = requests.get(f"{runner.production}/model", timeout=5).json()
    runner.train(*WORSE)
    _, err = runner.run("scripts/run_release.py", code=1)
    assert re.search(r"^refused: iris-classifier 3: gate claimed_metrics failed", err, re.MULTILINE)
    assert requests.get(f"{runner.production}/model", timeout=5).json() == before
    assert runner.champion() == "2"

    assert list((runner.home / "tmp").iterdir()) == []

    again = runner.release("--model-version", "2")
    assert again["release"] == report["release"]
    assert requests.get(f"{runner.production}/model", timeout=5).json() == before


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


@pytest.mark.long
def test_killed_at_every_step_it_goes_on_and_ends_in_the_same_state(runner: ScriptRunner) -> None:
    runner.release()
    runner.train(*BETTER)
    killed = []
    with Stream(runner.production, body_of_example(runner.home)) as stream:
        for text in KILL_AT:
            if runner.kill_at(text, "scripts/run_release.py", "--model-version", "2"):
                killed.append(text)
        report = runner.release("--model-version", "2")
        answered = stream.count
        until(lambda: stream.count >= answered + 20, seconds=120)
    assert stream.failures == []
    assert len(killed) >= 12, f"killed only at {killed}"
    assert report["version"] == runner.champion() == "2"
    serving = requests.get(f"{runner.production}/model", timeout=5).json()
    assert (serving["version"], serving["digest"]) == ("2", report["digest"])
    for program in ("server_process --python", "server_process/server.py --context"):
        running = subprocess.run(
            ["pgrep", "--full", f"{program} .*{runner.home}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert len(running.stdout.split()) == 2, f"{program}: staging, production, no orphan"
