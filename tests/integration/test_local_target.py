"""The local target with real servers: hand-over under a stream of requests, deaths on the way."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.handover import Stream
from model_release import ROOT
from model_release.digest import model_digest
from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.locks import file_lock
from model_release.slug import slug
from model_release.smoke import Identity, ask_identity
from model_release.targets import Deployment, Running
from model_release.targets import local as local_module
from model_release.targets import slot as slot_module
from model_release.targets.local import LocalTarget
from model_release.targets.slot import Slot

MODEL = """
import os
from pathlib import Path
import mlflow

class Version(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.version = Path(context.artifacts["version"]).read_text()
        if self.version == "broken":
            raise RuntimeError("this model does not load")

    def predict(self, context, model_input: list[str]) -> list[str]:
        told = {"version": self.version, "secret": os.environ.get("TOKEN", "")}
        if model_input[0] == "print":
            print("x" * 100_000, flush=True)
        return [told.get(each, each) for each in model_input]

mlflow.models.set_model(Version())
"""


def stream(running: Running, text: str = "version", clients: int = 4) -> Stream:
    """Requests that take little of the machine from the servers that start meanwhile."""
    return Stream(port(running), json.dumps({"inputs": [text]}), clients, pause=0.01)


class World:
    """A local target in a state folder whose path is longer than a Unix socket's may be."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        self.model = model
        self.home = folder / ("long" * 30) / "home"
        self.target = LocalTarget(self.home, {"staging": 0, "production": 0}, lock_seconds=0.3)
        self.steps: list[str] = []

    def deployment(self, version: str, model: str = "iris") -> Deployment:
        """A release of a model that answers its version."""
        context = self.folder / "contexts" / version
        if not context.exists():
            shutil.copytree(ROOT / "serving", context / "serving")
            shutil.copytree(self.model, context / "model")
            (context / "model" / "artifacts" / "version").write_text(version)
        identity = Identity(model, version, f"sha256:{version:a>64}", f"{version:b>32}")
        (context / "release.json").write_text(json.dumps({**vars(identity), "batching": True}))
        return Deployment(**vars(identity), context=context, python=Path(sys.executable))

    def deploy(self, version: str, verify: Callable[[str], None] = lambda _: None) -> Running:
        """Deploy a version to production."""
        return self.target.deploy("production", self.deployment(version), self.steps.append, verify)

    @property
    def slot(self) -> Slot:
        """Production's slot."""
        return Slot(self.home / "local" / "production" / "iris")

    def alive(self) -> list[str]:
        """Versions of the servers that live in production's slot."""
        states = [server.state() for server in self.slot.servers() if server.alive]
        return [state.identity.version if state else "?" for state in states]

    def kill(self) -> None:
        """Kill production's current server as a reboot would."""
        server = self.slot.current()
        state = server.state() if server else None
        assert server
        assert state
        os.kill(state.pid, signal.SIGKILL)
        wait_for(lambda: not server.alive)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.py").write_text(MODEL)
    (folder / "version").write_text("?")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow warns when it is imported
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            folder / "model",
            python_model=str(folder / "model.py"),
            artifacts={"version": str(folder / "version")},
            pip_requirements=[],
        )
    return folder / "model"


@pytest.fixture
def world(tmp_path: Path, model: Path) -> Iterator[World]:
    world = World(tmp_path, model)
    yield world
    world.target.stop()
    assert world.alive() == []


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[World]:
    """For what has to change nothing: version 1 serves, before and after."""
    world = World(tmp_path_factory.mktemp("serving"), model)
    world.deploy("1")
    yield world
    world.target.stop()


@pytest.fixture
def first(serving: World) -> Iterator[Running]:
    """What serves, under a stream of requests that none of it may fail."""
    (running,) = serving.target.running()
    serving.steps.clear()
    with stream(running) as requests:
        yield running
    assert (requests.failures, set(requests.answers)) == ([], {answer("1")})
    assert serving.target.running() == [running]
    assert serving.alive() == ["1"]
    assert ask_identity(running.url) == running.identity


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def port(running: Running) -> int:
    return int(running.url.rpartition(":")[2])


def answer(version: str) -> bytes:
    return json.dumps({"predictions": [version]}).encode()


def test_upgrade_under_a_stream_of_requests(world: World) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert world.target.running() == []
    first = world.deploy("1")
    assert first == Running(
        "production",
        **vars(world.deployment("1").identity),
        url=first.url,
        replicas=1,
        since=first.since,
    )
    assert before <= first.since <= datetime.now(UTC)
    untouched = model_digest(world.deployment("1").context)
    verified: list[Identity] = []
    with stream(first) as requests:
        second = world.deploy("2", lambda url: verified.append(ask_identity(url)))
        assert ask_identity(second.url) == second.identity == world.deployment("2").identity
        third = world.deploy("3")
    assert requests.failures == []
    assert set(requests.answers) == {answer("1"), answer("2"), answer("3")}
    assert verified == [second.identity]
    assert first.url == second.url == third.url
    assert world.target.running() == [third] == world.target.running("production")
    assert world.target.running("staging") == []
    with world.target.reach("production", "iris") as url:
        assert url == third.url
    with (
        pytest.raises(UsageError, match="iris in staging; expected a deployed release"),
        world.target.reach("staging", "iris"),
    ):
        pytest.fail("nothing is deployed there")
    assert world.alive() == ["3"]
    assert model_digest(world.deployment("1").context) == untouched
    # The logs of the current server and of the one before it are kept.
    assert len(world.slot.servers()) == 2


def test_the_same_release_again_is_a_no_op(serving: World, first: Running) -> None:
    assert serving.deploy("1", lambda _: pytest.fail("verified again")) == first
    assert serving.steps == [f"production already serves {first.identity}"]


def test_refused_by_verify_the_old_one_serves_on(serving: World, first: Running) -> None:
    def refuse(url: str) -> None:
        assert ask_identity(url).version == "2"
        assert ask_identity(first.url).version == "1"
        raise RefusedError("golden predictions", found="others")

    with pytest.raises(RefusedError):
        serving.deploy("2", refuse)


@pytest.mark.usefixtures("first")
def test_a_model_that_does_not_load_is_one_line(serving: World) -> None:
    with pytest.raises(OutsideError) as failed:
        serving.deploy("broken")
    assert "server of iris broken (sha256:aa" in str(failed.value)
    assert "this model does not load" in str(failed.value)
    assert failed.value.next_step.startswith("read ")
    assert "this model does not load" in Path(failed.value.next_step[5:]).read_text()


@pytest.mark.usefixtures("first")
def test_a_new_server_that_dies_while_it_is_verified_changes_nothing(serving: World) -> None:
    def kill_the_new_one(_: str) -> None:
        (new,) = [each for each in serving.slot.servers() if each.alive][1:]
        state = new.state()
        assert state
        os.kill(state.pid, signal.SIGKILL)
        wait_for(lambda: not new.alive)

    with pytest.raises(OutsideError, match="server of iris 2"):
        serving.deploy("2", kill_the_new_one)


@pytest.mark.usefixtures("first")
def test_a_context_of_another_release_is_refused(serving: World) -> None:
    other = replace(serving.deployment("1"), release="c" * 32)
    with pytest.raises(
        OutsideError, match=r"expected iris 1 .*release c{8}\); found release b{31}1"
    ):
        serving.target.deploy("production", other, print, print)


def test_an_interpreter_that_is_gone_is_one_line(world: World) -> None:
    lost = replace(world.deployment("1"), python=world.folder / "no" / "python")
    with pytest.raises(OutsideError, match="expected the Python of the release's environment"):
        world.target.deploy("production", lost, print, print)
    assert world.alive() == []


def test_a_dead_server_is_seen_and_deployed_again(world: World) -> None:
    first = world.deploy("1")
    world.kill()
    assert world.target.running() == [replace(first, replicas=0)]
    again = world.deploy("1")
    assert (again.replicas, ask_identity(again.url)) == (1, first.identity)
    assert world.alive() == ["1"]


def test_a_server_that_hangs_is_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_module, "CONTROL_SECONDS", 0.5)
    monkeypatch.setattr(local_module, "ANSWER_SECONDS", 2.0)
    first = world.deploy("1")
    server = world.slot.current()
    state = server.state() if server else None
    assert state
    os.kill(state.pid, signal.SIGSTOP)
    second = world.deploy("2")
    assert (second.url, world.alive()) == (first.url, ["2"])


def test_port_taken_names_port_holder_and_way_out(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        target = LocalTarget(world.home, {"production": number})
        with pytest.raises(OutsideError) as refused:
            target.deploy("production", world.deployment("1"), print, print)
    message = str(refused.value)
    assert message.startswith(f"port {number} on 127.0.0.1; expected a free port; found taken by")
    assert f"process {os.getpid()} (" in message
    assert message.endswith("stop what holds it, or choose another with PRODUCTION_PORT")
    assert world.alive() == []


def test_another_port_moves_the_model(world: World) -> None:
    first = world.deploy("1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    moved = replace(world.target, ports={"production": number})
    second = moved.deploy("production", world.deployment("1"), print, lambda _: None)
    assert (port(second), ask_identity(second.url)) == (number, first.identity)
    assert world.alive() == ["1"]
    with pytest.raises(OutsideError):
        ask_identity(first.url)


def test_two_deploys_at_once_the_second_names_the_first(world: World) -> None:
    with (
        file_lock(world.slot.deploy_lock, "the test"),
        pytest.raises(OutsideError, match=rf"iris in production is busy.*process {os.getpid()} "),
    ):
        world.deploy("1")


def test_an_image_is_no_deployment_for_this_target(world: World) -> None:
    image = replace(world.deployment("1"), context=None, python=None, image="host/iris@sha256:0")
    with pytest.raises(UsageError, match="expected a build context and an interpreter; found an"):
        world.target.deploy("production", image, print, print)


def test_an_unknown_environment_is_named(world: World) -> None:
    with pytest.raises(UsageError, match="'prod'; expected staging or production"):
        world.target.deploy("prod", world.deployment("1"), print, print)


def test_models_and_environments_are_apart_and_stop_ends_what_is_named(world: World) -> None:
    evil = "../Iris $(touch x); é"
    iris = world.deploy("1")
    deployment = world.deployment("2", model=evil)
    named = world.target.deploy("production", deployment, print, lambda _: None)
    staged = world.target.deploy("staging", deployment, print, lambda _: None)
    assert named.model == staged.model == evil
    assert {each.parent.name for each in world.home.glob("local/*/*")} == {"staging", "production"}
    assert world.target.running() == [iris, named, staged]
    status = LocalTarget(world.home, {})
    assert status.stop("staging") == [staged]
    assert status.stop("production", evil) == [named]
    assert status.running() == [iris]
    assert status.stop() == [iris]
    assert status.stop() == status.running() == []
    with pytest.raises(OutsideError):
        ask_identity(iris.url)


def test_slugs_are_folder_names_and_differ() -> None:
    names = ["iris", "Iris", "iris-1", "a/b", "a b", "..", ".", "é" * 200, "x" * 200, "x" * 201]
    slugs = [slug(name) for name in names]
    assert slugs[0] == "iris"
    assert len({each.lower() for each in slugs}) == len(names)
    for each in slugs:
        assert len(each) < 60
        assert each not in (".", "..")
        assert "/" not in each


def test_model_code_sees_no_secret_and_its_log_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    running = world.deploy("1")
    with stream(running, "secret") as requests:
        wait_for(lambda: requests.requests > 0)
    assert set(requests.answers) == {answer("")}
    server = world.slot.current()
    assert server
    with stream(running, "print"):
        wait_for(lambda: (server.folder / "log.previous").exists())
    limit = 5 * 2**20
    wait_for(lambda: server.log.stat().st_size < limit)
    assert (server.folder / "log.previous").stat().st_size > limit


KILLED_DEPLOY = """
import json, os, signal, sys
from pathlib import Path
from model_release.targets import Deployment
from model_release.targets.local import LocalTarget
from model_release.targets.slot import Server, Slot

home, fields, owner, method, moment = json.loads(sys.argv[1])
fields["context"], fields["python"] = Path(fields["context"]), Path(fields["python"])
original = getattr(globals()[owner], method)

def die(*args):
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    original(*args)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(globals()[owner], method, die)
LocalTarget(Path(home), {"production": 0}).deploy(
    "production", Deployment(**fields), print, lambda url: None
)
"""
DEATHS = [
    ("Server", "give", "before"),
    ("Slot", "start", "before"),
    ("Slot", "start", "after"),
    ("Server", "wait_until_ready", "after"),
    ("Server", "take", "before"),
    ("Server", "take", "after"),
    ("Slot", "appoint", "after"),
    ("Server", "end", "after"),
    ("Slot", "prune", "before"),
]


def dying_deploy(world: World, version: str, *death: str) -> list[str]:
    """The command of a deploy that kills itself with SIGKILL at a given moment."""
    fields = vars(world.deployment(version).identity) | {"python": sys.executable}
    fields |= {"context": str(world.deployment(version).context)}
    return [sys.executable, "-c", KILLED_DEPLOY, json.dumps([str(world.home), fields, *death])]


def deploy_and_die(world: World, version: str, *death: str) -> None:
    done = subprocess.run(dying_deploy(world, version, *death), cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL, death


def test_a_deploy_killed_at_any_moment_fails_no_request_and_the_next_converges(
    world: World,
) -> None:
    running = world.deploy("1")
    with stream(running) as requests:
        for number, death in enumerate(DEATHS, start=2):
            deploy_and_die(world, f"{number}", *death)
            assert [each.url for each in world.target.running() if each.replicas] == [running.url]
        last = world.deploy("last")
        assert world.alive() == ["last"]
        assert ask_identity(last.url) == last.identity
    assert requests.failures == []
    seen = set(requests.answers)
    assert {answer("1"), answer("last")} < seen
    assert seen < {answer(each) for each in ("1", "last", *map(str, range(2, len(DEATHS) + 2)))}


def test_deploys_killed_after_any_time_converge(world: World) -> None:
    running = world.deploy("1")
    with stream(running) as requests:
        for seconds in (0.5, 1.0, 1.5, 2.0, 2.5):
            command = dying_deploy(world, "2", "Slot", "dismiss", "never called")
            with subprocess.Popen(command, cwd=ROOT) as deploy:
                time.sleep(seconds)
                deploy.kill()
            assert deploy.returncode in (-signal.SIGKILL, 0)
        last = world.deploy("2")
        assert (world.alive(), ask_identity(last.url)) == (["2"], last.identity)
    assert requests.failures == []


def test_what_a_killed_deploy_leaves_ends_by_itself(world: World) -> None:
    first = world.deploy("1")
    with stream(first) as requests:
        deploy_and_die(world, "2", "Server", "take", "after")
        assert sorted(world.alive()) == ["1", "2"]
        wait_for(lambda: world.alive() == ["1"])
        deploy_and_die(world, "3", "Slot", "appoint", "after")
        wait_for(lambda: world.alive() == ["3"])
    assert requests.failures == []
    assert ask_identity(first.url).version == "3"


def test_a_first_deploy_that_is_killed_leaves_a_server_that_the_next_takes_over_from(
    world: World,
) -> None:
    deploy_and_die(world, "1", "Server", "take", "after")
    (left,) = world.target.running()
    assert (left.version, left.replicas) == ("1", 1)
    with stream(left) as requests:
        second = world.deploy("2")
    assert (requests.failures, second.url, world.alive()) == ([], left.url, ["2"])


def test_the_old_server_dies_during_the_deploy_and_no_new_connection_is_refused(
    world: World,
) -> None:
    first = world.deploy("1")
    second = world.deploy("2", lambda _: world.kill())
    assert (second.url, world.alive()) == (first.url, ["2"])
    assert ask_identity(second.url) == second.identity
