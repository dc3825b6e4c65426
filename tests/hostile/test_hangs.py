"""A server outlives what its model does, or ends in bounded time and says why."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from model_release.targets import Running
from tests.hostile.serving_processes import Served, contexts, served
from tests.integration.local_target.local_servers import LocalServers
from tests.integration.local_target.local_servers import port as port_of
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("hostile-serving"), pytest.mark.long]

HASTY = {
    "SERVING_REQUEST_TIMEOUT_SECONDS": "1",
    "SERVING_HANG_SECONDS": "5",
    "SERVING_DRAIN_IDLE_SECONDS": "0",
}


def ask(port: int, what: str) -> int:
    """The status of a request that has the model do something; 0 where there was no answer."""
    body = json.dumps({"dataframe_split": {"columns": ["do"], "data": [[what]]}})
    address = f"http://127.0.0.1:{port}/invocations"
    try:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        return requests.post(address, body, headers=headers, timeout=60).status_code
    except requests.ConnectionError:
        return 0


def look(server: Served, path: str) -> tuple[int, str]:
    """Status and body of another address."""
    reply = requests.get(f"http://127.0.0.1:{server.port}{path}", timeout=60)
    return reply.status_code, reply.text


@pytest.fixture
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return contexts(tmp_path_factory)


def test_when_every_prediction_hangs_it_is_not_ready_and_ends(saved: Path, tmp_path: Path) -> None:
    """One sleeps in C, one loops in Python: the first leaves a thread, the second leaves none."""
    with served(saved / "alone", tmp_path / "log", SERVING_THREADS="2", **HASTY) as server:
        assert ask(server.port, "sleep") == 504
        assert ask(server.port, "fine") == 200
        assert look(server, "/ready")[0] == 200
        assert ask(server.port, "loop") == 504
        until(lambda: look(server, "/ready")[0] == 503, seconds=60)
        assert look(server, "/ready")[1] == '{"ready": false, "reason": "no prediction ends"}'
        assert server.process.wait(timeout=120) == 1
    told = server.log.read_text()
    assert "ERROR no prediction ends any more" in told
    assert "in _sleep_for_ever" in told
    assert "in _loop_for_ever" in told


def test_when_nothing_else_can_run_it_ends(saved: Path, tmp_path: Path) -> None:
    with served(saved / "merged", tmp_path / "log", **HASTY) as server:
        assert ask(server.port, "hold") == 0
        assert server.process.wait(timeout=120) == 1
    assert "in _hold_the_interpreter" in server.log.read_text()


def test_told_to_stop_it_stops_whatever_the_model_does(saved: Path, tmp_path: Path) -> None:
    """The limit on hanging is the default, far off; the one on requests bounds the drain."""
    hasty = {**HASTY, "SERVING_HANG_SECONDS": ""}
    with served(saved / "alone", tmp_path / "log", SERVING_THREADS="2", **hasty) as server:
        assert ask(server.port, "thread") == 200
        assert ask(server.port, "sys.exit") == 500
        assert ask(server.port, "memory") == 400
        assert ask(server.port, "sleep") == 504
        assert ask(server.port, "loop") == 504
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=55) == 0


def test_a_crash_says_in_which_code(saved: Path, tmp_path: Path) -> None:
    with served(saved / "merged", tmp_path / "log") as server:
        assert ask(server.port, "segfault") == 0
        assert server.process.wait(timeout=120) == -signal.SIGSEGV
    assert "misbehaving_model.py" in server.log.read_text()


def test_a_worker_that_dies_ends_the_server(saved: Path, tmp_path: Path) -> None:
    """Also the other worker, which does not do what it is told."""
    with served(saved / "merged", tmp_path / "log", SERVING_WORKERS="2", **HASTY) as server:
        pid = server.process.pid
        first, second = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(first), signal.SIGSTOP)
        os.kill(int(second), signal.SIGKILL)
        assert server.process.wait(timeout=120) == 3
        assert not Path("/proc", first).exists()
    told = server.log.read_text()
    assert (
        f"expected to run until it is told to stop; found exit code -9 of process {second}" in told
    )


@pytest.fixture
def servers(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServers]:
    for name, value in HASTY.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(saved / "merged" / "model", tmp_path / "model")
    (tmp_path / "model" / "artifacts").mkdir()
    made = LocalServers(tmp_path, tmp_path / "model")
    yield made
    made.target.stop()


def test_on_the_local_target_what_ends_is_replaced(servers: LocalServers) -> None:
    """From its end on callers wait: none of those who ask then is refused."""
    running = servers.deploy("1")
    port, log = port_of(running), servers.slot.servers()[0].log
    for pause, what, code in (
        (1, "sleep", 0),
        (2, "segfault", -signal.SIGSEGV),
        (4, "os._exit", 0),
    ):
        if ask(port, what) == 504:
            until(lambda: not servers.target.running()[0].replicas, seconds=120)
        told = f"with exit code {code}; another one starts in {pause} s"
        until(lambda told=told: told in log.read_text(), seconds=120, shown=log.read_text)
        assert ask(port, "fine") == 200
        (again,) = servers.target.running()
        assert again == replace(running, since=again.since)


@pytest.fixture
def lost(servers: LocalServers) -> Running:
    """A server whose process was killed, and which cannot be started again."""
    running = servers.deploy("1")
    shutil.rmtree(servers.deployment("1").context)
    assert ask(port_of(running), "kill") == 0
    log = servers.slot.servers()[0].log
    until(lambda: "another one starts in 2 s" in log.read_text(), seconds=60, shown=log.read_text)
    return running


def test_what_is_being_replaced_is_not_ready_and_can_be_stopped(
    servers: LocalServers, lost: Running
) -> None:
    not_ready = servers.target.running()
    assert not_ready == [replace(lost, replicas=0, since=not_ready[0].since)]
    assert servers.target.stop() == not_ready
    assert servers.alive() == []
    assert ask(port_of(lost), "fine") == 0


def test_what_is_being_replaced_hands_its_callers_over(
    servers: LocalServers, lost: Running
) -> None:
    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(ask, port_of(lost), "fine")
        second = servers.deploy("2")
        assert waiting.result(timeout=60) == 200
    assert (second.url, servers.alive()) == (lost.url, ["2"])
