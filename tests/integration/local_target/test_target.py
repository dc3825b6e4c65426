"""The local target with real servers: hand-over under a stream of requests, and what is refused."""

import os
import signal
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from model_release.digest import model_digest
from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.identity import Identity
from model_release.processes.locks import file_lock
from model_release.smoke import ask_identity
from model_release.targets import Running
from model_release.targets.local.target import LocalTarget
from tests.integration.local_target.local_servers import LocalServers, answer, port, stream
from tests.ports import free_port
from tests.waiting import until


def test_upgrade_under_a_stream_of_requests(servers: LocalServers) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert servers.target.running() == []
    first = servers.deploy("1")
    assert first == Running(
        "production",
        servers.deployment("1").identity,
        url=first.url,
        replicas=1,
        since=first.since,
    )
    assert before <= first.since <= datetime.now(UTC)
    untouched = model_digest(servers.deployment("1").context)
    verified: list[Identity] = []
    with stream(first) as requests:
        second = servers.deploy("2", lambda url: verified.append(ask_identity(url)))
        assert ask_identity(second.url) == second.identity == servers.deployment("2").identity
        third = servers.deploy("3")
    assert requests.failures == []
    assert set(requests.answers) == {answer("1"), answer("2"), answer("3")}
    assert verified == [second.identity]
    assert first.url == second.url == third.url
    assert servers.target.running() == [third] == servers.target.running("production")
    assert servers.target.running("staging") == []
    with servers.target.reach("production", "iris") as url:
        assert url == third.url
    with (
        pytest.raises(UsageError, match="iris in staging; expected a deployed release"),
        servers.target.reach("staging", "iris"),
    ):
        pytest.fail("nothing is deployed there")
    assert servers.alive() == ["3"]
    assert model_digest(servers.deployment("1").context) == untouched
    # The logs of the current server and of the one before it are kept.
    assert len(servers.slot.servers()) == 2


def test_the_same_release_again_is_a_no_op(serving: LocalServers, first: Running) -> None:
    assert serving.deploy("1", lambda _: pytest.fail("verified again")) == first
    assert serving.steps == [f"production already serves {first.identity}"]


def test_refused_by_verify_the_old_one_serves_on(serving: LocalServers, first: Running) -> None:
    def refuse(url: str) -> None:
        assert ask_identity(url).version == "2"
        assert ask_identity(first.url).version == "1"
        raise RefusedError("golden predictions", found="others", next_step="look")

    with pytest.raises(RefusedError):
        serving.deploy("2", refuse)


@pytest.mark.usefixtures("first")
def test_a_model_that_does_not_load_is_one_line(serving: LocalServers) -> None:
    with pytest.raises(OutsideError) as failed:
        serving.deploy("broken")
    assert "server of iris broken (sha256:aa" in str(failed.value)
    assert "this model does not load" in str(failed.value)
    assert failed.value.next_step.startswith("read ")
    assert "this model does not load" in Path(failed.value.next_step[5:]).read_text()


@pytest.mark.usefixtures("first")
def test_a_new_server_that_dies_while_it_is_verified_changes_nothing(serving: LocalServers) -> None:
    def kill_the_new_one(_: str) -> None:
        (new,) = [each for each in serving.slot.servers() if each.alive][1:]
        state = new.state()
        assert state
        os.kill(state.pid, signal.SIGKILL)
        until(lambda: not new.alive, seconds=30)

    with pytest.raises(OutsideError, match="server of iris 2"):
        serving.deploy("2", kill_the_new_one)


@pytest.mark.usefixtures("first")
def test_a_context_of_another_release_is_refused(serving: LocalServers) -> None:
    made = serving.deployment("1")
    other = replace(made, identity=replace(made.identity, release="c" * 32))
    with pytest.raises(
        OutsideError, match=r"expected iris 1 .*release c{8}\); found release b{31}1"
    ):
        serving.target.deploy("production", other, print, print)


def test_an_interpreter_that_is_gone_is_one_line(servers: LocalServers) -> None:
    lost = replace(servers.deployment("1"), python=servers.folder / "no" / "python")
    with pytest.raises(OutsideError, match="expected the Python of the release's environment"):
        servers.target.deploy("production", lost, print, print)
    assert servers.alive() == []


def test_port_taken_names_port_holder_and_way_out(servers: LocalServers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        target = LocalTarget(servers.home, {"production": number})
        with pytest.raises(OutsideError) as refused:
            target.deploy("production", servers.deployment("1"), print, print)
    message = str(refused.value)
    assert message.startswith(f"port {number} on 127.0.0.1; expected a free port; found taken by")
    assert f"process {os.getpid()} (" in message
    assert message.endswith("stop what holds it, or choose another with PRODUCTION_PORT")
    assert servers.alive() == []


@pytest.mark.long
def test_another_port_moves_the_model(servers: LocalServers) -> None:
    first = servers.deploy("1")
    number = free_port()
    moved = replace(servers.target, ports={"production": number})
    second = moved.deploy("production", servers.deployment("1"), print, lambda _: None)
    assert (port(second), ask_identity(second.url)) == (number, first.identity)
    assert servers.alive() == ["1"]
    with pytest.raises(OutsideError):
        ask_identity(first.url)


def test_two_deploys_at_once_the_second_names_the_first(servers: LocalServers) -> None:
    with (
        file_lock(servers.slot.deploy_lock, "the test"),
        pytest.raises(OutsideError, match=rf"iris in production is busy.*process {os.getpid()} "),
    ):
        servers.deploy("1")


def test_an_image_is_no_deployment_for_this_target(servers: LocalServers) -> None:
    image = replace(servers.deployment("1"), context=None, python=None, image="host/iris@sha256:0")
    with pytest.raises(UsageError, match="expected a build context and an interpreter; found an"):
        servers.target.deploy("production", image, print, print)


def test_an_unknown_environment_is_named(servers: LocalServers) -> None:
    with pytest.raises(UsageError, match="'prod'; expected staging or production"):
        servers.target.deploy("prod", servers.deployment("1"), print, print)


@pytest.mark.long
def test_models_and_environments_are_apart_and_stop_ends_what_is_named(
    servers: LocalServers,
) -> None:
    evil = "../Iris $(touch x); é"
    iris = servers.deploy("1")
    deployment = servers.deployment("2", model=evil)
    named = servers.target.deploy("production", deployment, print, lambda _: None)
    staged = servers.target.deploy("staging", deployment, print, lambda _: None)
    assert named.identity.model == staged.identity.model == evil
    assert {each.parent.name for each in servers.home.glob("local/*/*")} == {
        "staging",
        "production",
    }
    assert servers.target.running() == [iris, named, staged]
    status = LocalTarget(servers.home, {})
    assert status.stop("staging") == [staged]
    assert status.running() == [iris, named]
    assert status.stop() == [iris, named]
    assert status.stop() == status.running() == []
    with pytest.raises(OutsideError):
        ask_identity(iris.url)


def test_model_code_sees_no_secret_and_its_log_is_bounded(
    servers: LocalServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    running = servers.deploy("1")
    with stream(running, "secret") as requests:
        until(lambda: requests.requests > 0, seconds=30)
    assert set(requests.answers) == {answer("")}
    server = servers.slot.current()
    assert server
    with stream(running, "print"):
        until(lambda: (server.folder / "log.previous").exists(), seconds=30)
    limit = 5 * 2**20
    until(lambda: server.log.stat().st_size < limit, seconds=30)
    assert (server.folder / "log.previous").stat().st_size == limit


def test_a_server_that_never_said_what_it_is_is_stopped_with_the_others(
    servers: LocalServers,
) -> None:
    iris = servers.deploy("1")
    server = servers.slot.current()
    assert server
    nameless = replace(server, folder=server.folder.parent / "0")
    nameless.folder.mkdir()
    server.end(60)
    servers.slot.commit(nameless)
    with pytest.raises(OutsideError, match=r"a file state\.json"):
        servers.target.find("production", iris.identity.model)
    assert servers.target.stop() == []
    assert servers.target.find("production", iris.identity.model) is None
