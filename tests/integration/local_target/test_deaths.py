"""Deaths on the way: of servers, and of deploys at every moment. Whoever comes next converges."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import pytest

from model_release import ROOT
from model_release.smoke import ask_identity
from tests.integration.local_target.local_servers import LocalServers, answer, stream
from tests.waiting import until

pytestmark = pytest.mark.long


def test_a_dead_server_is_seen_and_deployed_again(servers: LocalServers) -> None:
    first = servers.deploy("1")
    servers.kill()
    assert servers.target.running() == [replace(first, replicas=0)]
    again = servers.deploy("1")
    assert (again.replicas, ask_identity(again.url)) == (1, first.identity)
    assert servers.alive() == ["1"]


def test_a_server_that_hangs_is_replaced(
    servers: LocalServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_release.targets.local.slot.CONTROL_SECONDS", 0.5)
    monkeypatch.setattr("model_release.targets.local.target.ANSWER_SECONDS", 2.0)
    first = servers.deploy("1")
    server = servers.slot.current()
    state = server.state() if server else None
    assert state
    os.kill(state.pid, signal.SIGSTOP)
    second = servers.deploy("2")
    assert (second.url, servers.alive()) == (first.url, ["2"])


KILLED_DEPLOY = """
import json, os, signal, sys
from pathlib import Path
from model_release.identity import Identity
from model_release.targets import Deployment
from model_release.targets.local.target import LocalTarget
from model_release.targets.local.slot import ServerProcess, Slot

home, identity, context, python, owner, method, moment = json.loads(sys.argv[1])
deployment = Deployment(Identity(**identity), Path(context), Path(python))
original = getattr(globals()[owner], method)

def die(*args):
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    original(*args)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(globals()[owner], method, die)
LocalTarget(Path(home), {"production": 0}).deploy(
    "production", deployment, print, lambda url: None
)
"""
DEATHS = [
    ("ServerProcess", "give", "before"),
    ("Slot", "start", "before"),
    ("Slot", "start", "after"),
    ("ServerProcess", "wait_until_ready", "after"),
    ("ServerProcess", "take", "before"),
    ("ServerProcess", "take", "after"),
    ("Slot", "commit", "after"),
    ("ServerProcess", "end", "after"),
    ("Slot", "prune", "before"),
]


def dying_deploy(servers: LocalServers, version: str, *death: str) -> list[str]:
    """The command of a deploy that kills itself with SIGKILL at a given moment."""
    made = servers.deployment(version)
    told = [str(servers.home), made.identity.fields(), str(made.context), sys.executable, *death]
    return [sys.executable, "-c", KILLED_DEPLOY, json.dumps(told)]


def deploy_and_die(servers: LocalServers, version: str, *death: str) -> None:
    done = subprocess.run(dying_deploy(servers, version, *death), cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL, death


def test_a_deploy_killed_at_any_moment_fails_no_request_and_the_next_converges(
    servers: LocalServers,
) -> None:
    running = servers.deploy("1")
    with stream(running) as requests:
        for number, death in enumerate(DEATHS, start=2):
            deploy_and_die(servers, f"{number}", *death)
            assert [each.url for each in servers.target.running() if each.replicas] == [running.url]
        last = servers.deploy("last")
        assert servers.alive() == ["last"]
        assert ask_identity(last.url) == last.identity
    assert requests.failures == []
    seen = set(requests.answers)
    assert {answer("1"), answer("last")} < seen
    assert seen < {answer(each) for each in ("1", "last", *map(str, range(2, len(DEATHS) + 2)))}


def test_deploys_killed_after_any_time_converge(servers: LocalServers) -> None:
    running = servers.deploy("1")
    with stream(running) as requests:
        for seconds in (0.5, 1.0, 1.5, 2.0, 2.5):
            command = dying_deploy(servers, "2", "Slot", "remove", "never called")
            with subprocess.Popen(command, cwd=ROOT) as deploy:
                with suppress(subprocess.TimeoutExpired):
                    deploy.wait(timeout=seconds)
                deploy.kill()
            assert deploy.returncode in (-signal.SIGKILL, 0)
        last = servers.deploy("2")
        assert (servers.alive(), ask_identity(last.url)) == (["2"], last.identity)
    assert requests.failures == []


def test_what_a_killed_deploy_leaves_ends_by_itself(servers: LocalServers) -> None:
    first = servers.deploy("1")
    with stream(first) as requests:
        deploy_and_die(servers, "2", "ServerProcess", "take", "after")
        assert sorted(servers.alive()) == ["1", "2"]
        until(lambda: servers.alive() == ["1"], seconds=30)
        deploy_and_die(servers, "3", "Slot", "commit", "after")
        until(lambda: servers.alive() == ["3"], seconds=30)
    assert requests.failures == []
    assert ask_identity(first.url).version == "3"


def test_a_first_deploy_that_is_killed_leaves_a_server_that_the_next_takes_over_from(
    servers: LocalServers,
) -> None:
    deploy_and_die(servers, "1", "ServerProcess", "take", "after")
    (left,) = servers.target.running()
    assert (left.identity.version, left.replicas) == ("1", 1)
    with stream(left) as requests:
        second = servers.deploy("2")
    assert (requests.failures, second.url, servers.alive()) == ([], left.url, ["2"])


def test_the_old_server_dies_during_the_deploy_and_no_new_connection_is_refused(
    servers: LocalServers,
) -> None:
    first = servers.deploy("1")
    second = servers.deploy("2", lambda _: servers.kill())
    assert (second.url, servers.alive()) == (first.url, ["2"])
    assert ask_identity(second.url) == second.identity
