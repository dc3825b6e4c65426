"""The local target: each environment is a port of this machine, each server a process.

A hand-over never leaves the port without somebody who accepts: the new server loads the model and
is verified on a private port, then it accepts on the same listening socket as the old one, then it
becomes `current`, then the old one drains. Whoever is killed, at any of these moments, the other
serves; what is left over ends itself (`server_process`) or is ended by the next deploy.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_release import commands
from model_release.errors import OutsideError, UsageError
from model_release.identity import Identity, slug
from model_release.processes.locks import file_lock
from model_release.report.progress import Tell
from model_release.smoke import ask_identity, is_ready
from model_release.targets import Deployment, Diff, Running, Verify, unknown_environment
from model_release.targets.local.port import HOST, bind
from model_release.targets.local.slot import POLL_SECONDS, ServerProcess, Slot
from model_release.waiting import retry

DRAIN_SECONDS = 70.0
"""A little more than the longest request that a server answers."""

ANSWER_SECONDS = 10.0
CLOSE_SECONDS = 5.0
"""A process that was killed lets go of its locks a moment before its sockets."""

READY_SECONDS = 5.0
"""How long to wait for a word of readiness: as long as Kubernetes does."""


@dataclass(frozen=True)
class LocalTarget:
    """Model servers on this machine.

    Args:
        home: the state folder; everything lies in its `local/`.
        ports: the port of each environment, {"staging": 8181, "production": 8180}; 0 for any.
        start_seconds: how long a server may load its model.
        wait_seconds: how long to wait for another deploy of the same model.
    """

    home: Path
    ports: Mapping[str, int]
    start_seconds: float = 300.0
    wait_seconds: float = 10.0
    name: str = "local"
    protected: bool = False
    runs_images: bool = False

    def deploy(
        self, environment: str, deployment: Deployment, progress: Tell, verify: Verify
    ) -> Running:
        """Make `deployment` what serves its model in `environment`; see `targets.Target`.

        Raises:
            UsageError: no such environment, or a context of another release.
            OutsideError: the port is taken, the server does not start, another deploy is under way.
            ReleaseError: whatever `verify` raises. The old server serves on.
        """
        port = self._port(environment)
        model = deployment.identity.model
        slot = self._slot(environment, model)
        with self._changing(slot, environment, model):
            current = slot.current()
            if current and self._serves(current, deployment.identity, port):
                progress(f"{environment} already serves {deployment.identity}")
            else:
                current = self._replace(slot, port, environment, deployment, progress, verify)
            slot.prune()
            return _running(environment, current)

    def manifest(self, environment: str, deployment: Deployment) -> str:  # noqa: ARG002
        """Nothing: a process has no manifest."""
        return ""

    def check(self, environment: str, model: str) -> str:  # noqa: ARG002
        """The environment's port: there is nothing else that a deploy needs.

        Raises:
            UsageError: no such environment.
        """
        return f"port {self._port(environment)} of this machine"

    def diff(self, environment: str, deployment: Deployment) -> Diff:  # noqa: ARG002
        """Nothing: a process has no manifest that somebody could edit."""
        return Diff()

    def faults(self, environment: str, deployment: Deployment) -> Sequence[str]:  # noqa: ARG002
        """None: a slot has one server, and `find` tells all about it."""
        return ()

    def running(self, environment: str | None = None) -> list[Running]:
        """What is deployed in one environment, or in all, sorted by environment and model."""
        found = (_found(name, slot) for name, slot in self._slots(environment))
        return [running for running in found if running]

    def find(self, environment: str, model: str) -> Running | None:
        """What is deployed of one model; None where nothing is."""
        return _found(environment, self._slot(environment, model))

    @contextmanager
    def reach(self, environment: str, model: str) -> Iterator[str]:
        """The address of what serves `model` in `environment`, which is this machine's own.

        Raises:
            UsageError: nothing of the model is deployed there.
        """
        running = self.find(environment, model)
        if running is None:
            raise UsageError(
                f"{model} in {environment}",
                expected="a deployed release",
                found="none",
                next_step=commands.station(f"deploy-{environment}", model, target=self.name),
            )
        yield running.url

    def stop(self, environment: str | None = None) -> list[Running]:
        """Drain and end the servers, and forget what is deployed; say what it was."""
        stopped = []
        for name, slot in list(self._slots(environment)):
            with self._changing(slot, name, slot.folder.name):
                server = slot.incumbent() or slot.current()
                if server and server.state():  # else it never said what it is
                    stopped.append(_running(name, server))
                slot.remove(DRAIN_SECONDS)
        return stopped

    def _replace(
        self,
        slot: Slot,
        port: int,
        environment: str,
        deployment: Deployment,
        progress: Tell,
        verify: Verify,
    ) -> ServerProcess:
        incumbent = slot.incumbent()
        self._end_others(slot, keep=[incumbent])
        with self._listener(incumbent, port, environment) as listener:
            progress(f"starting {deployment.identity}")
            server = slot.start(deployment)
            try:
                state = server.wait_until_ready(self.start_seconds)
                address = f"http://{HOST}:{state.probe_port}"
                _require(deployment.identity, address)
                progress(f"verifying it at {address}, which no caller knows")
                verify(address)
                server.take(listener)
                slot.commit(server)
            except BaseException:  # also Ctrl-C: the old server goes on alone
                server.end(DRAIN_SECONDS)
                raise
        if incumbent:
            progress("draining the server before it")
        self._end_others(slot, keep=[server])
        _require(deployment.identity, _running(environment, server).url)
        return server

    @contextmanager
    def _listener(
        self, incumbent: ServerProcess | None, port: int, environment: str
    ) -> Iterator[socket.socket]:
        """The public socket: the incumbent's own, or a new one where it has none to give."""
        state = incumbent.state() if incumbent else None
        listener = None
        if incumbent and state and port in (0, state.public_port):
            listener = incumbent.give()
            if listener is None:  # it hangs or is draining: nobody is served by waiting for it
                incumbent.end(ANSWER_SECONDS)
        if listener is None:
            number = port or (state and state.public_port) or 0
            choose = f"choose another with {environment.upper()}_PORT"
            seconds = CLOSE_SECONDS if incumbent else 0
            listener = retry(
                lambda: bind(number, choose), OutsideError, seconds, every=POLL_SECONDS
            )
        with listener:
            yield listener

    def _serves(self, server: ServerProcess, identity: Identity, port: int) -> bool:
        state = server.state()
        if not server.alive or not state or state.phase != "serving":
            return False
        if state.identity != identity or port not in (0, state.public_port):
            return False
        try:
            return ask_identity(_url(state.public_port), ANSWER_SECONDS) == identity
        except OutsideError:
            return False

    def _end_others(self, slot: Slot, keep: list[ServerProcess | None]) -> None:
        for server in slot.servers():
            if server not in keep:
                server.end(DRAIN_SECONDS)

    @contextmanager
    def _changing(self, slot: Slot, environment: str, model: str) -> Iterator[None]:
        what = f"what serves {model} in {environment}"
        with file_lock(slot.deploy_lock, what, self.wait_seconds):
            yield

    def _port(self, environment: str) -> int:
        if environment not in self.ports:
            raise unknown_environment(environment, self.ports)
        return self.ports[environment]

    def _slot(self, environment: str, model: str) -> Slot:
        return Slot(self.home / "local" / environment / slug(model))

    def _slots(self, environment: str | None) -> Iterator[tuple[str, Slot]]:
        for folder in sorted((self.home / "local").glob("*/*")):
            name = folder.parent.name
            if environment in (None, name):
                yield name, Slot(folder)


def _require(identity: Identity, url: str) -> None:
    found = ask_identity(url, ANSWER_SECONDS)
    if found != identity:
        raise OutsideError(
            f"server at {url}",
            expected=str(identity),
            found=identity.differences(found),
            next_step="deploy again; if this error stays, read release.json in the build context",
        )


def _url(port: int | None) -> str:
    return f"http://{HOST}:{port}"


def _found(environment: str, slot: Slot) -> Running | None:
    """What a slot's server is that serves, or else the one that is meant to and died."""
    server = slot.incumbent() or slot.current()
    return _running(environment, server) if server else None


def _running(environment: str, server: ServerProcess) -> Running:
    """What `server` last said about itself, and whether it serves and is ready."""
    state = server.state()
    if state is None:
        raise OutsideError(
            f"state of server {server.folder}",
            expected="a file state.json that it wrote",
            found="none that can be read",
            next_step=f"delete {server.folder.parents[1] / 'current'}, then deploy again",
        )
    url = _url(state.public_port)
    serves = server.alive and state.phase == "serving" and is_ready(url, READY_SECONDS)
    return Running(
        environment=environment,
        identity=state.identity,
        url=url,
        replicas=1 if serves else 0,
        since=state.since,
    )
