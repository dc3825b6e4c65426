"""A slot: where the servers of one model in one environment live, as files and processes.

<slot>/deploy.lock        held by the deploy that is under way
<slot>/current            name of the server that is meant to serve; replacing it is the commit
<slot>/servers/<name>/    one server process; `server_process` says what lies there
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from model_release import ROOT, commands
from model_release.errors import OutsideError, UsageError
from model_release.identity import Identity
from model_release.processes.environments import without_secrets
from model_release.processes.locks import is_held
from model_release.processes.removal import remove
from model_release.targets import Deployment
from model_release.waiting import polls

SERVER_PROCESS = ROOT / "model_release/targets/local/server_process"
POLL_SECONDS = 0.03
LAUNCH_SECONDS = 60.0
CONTROL_SECONDS = 10.0
KILL_SECONDS = 10.0
LAST_BYTES = 2**16
"""Of a log, in which its last line is looked for."""


@dataclass(frozen=True)
class ServerState:
    """What a server last wrote about itself; it may have died since."""

    pid: int
    phase: str
    identity: Identity
    probe_port: int | None
    public_port: int | None
    since: datetime


@dataclass(frozen=True)
class ServerProcess:
    """One server process, living or dead, seen through its folder."""

    folder: Path

    @property
    def alive(self) -> bool:
        """Whether its keeper lives, or what a keeper that was killed has not ended yet."""
        own = self.folder / "server.lock"
        return is_held(self.folder / "lock") or is_held(own, fcntl.lockf)

    @property
    def log(self) -> Path:
        """What it and its model printed."""
        return self.folder / "log"

    def state(self) -> ServerState | None:
        """What it last wrote; None before that."""
        try:
            told = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return ServerState(
            pid=told["pid"],
            phase=told["phase"],
            identity=Identity.read(told),
            probe_port=told.get("probe_port"),
            public_port=told.get("public_port"),
            since=datetime.fromisoformat(told["since"]),
        )

    def wait_until_ready(self, seconds: float) -> ServerState:
        """Wait until the model is loaded and answers at the probe port.

        Raises:
            OutsideError: the server stopped, or is not ready after `seconds`.
        """
        for _ in polls(seconds, every=POLL_SECONDS):
            alive = self.alive  # before the state: what a dead server wrote last is then read
            state = self.state()
            if not alive:
                raise self._problem("a server that loads its model", self.last_words())
            if state and state.phase == "ready":
                return state
        raise self._problem(f"a loaded model within {seconds:g} s", "still loading")

    def give(self) -> socket.socket | None:
        """The public listening socket, shared with this server; None when it hangs or drains."""
        try:
            reply, received = self._ask(b"give", [])
        except (TimeoutError, ConnectionError):
            return None
        return socket.socket(fileno=received[0]) if reply == b"given" and received else None

    def take(self, listener: socket.socket) -> None:
        """Make the server accept on the public socket, beside any other server that does.

        Raises:
            OutsideError: it does not.
        """
        try:
            reply, _ = self._ask(b"take", [listener.fileno()])
        except OSError as error:
            reply = str(error).encode()
        if reply != b"taken":
            found = reply.decode(errors="replace") or self.last_words()
            raise self._problem("the server to accept on the public port", found)

    def end(self, seconds: float) -> None:
        """Drain it; after `seconds` end it by force. Return when its process is gone."""
        told = False
        for _ in polls(seconds, every=POLL_SECONDS):
            if not self.alive:
                return
            if state := self.state():
                try:  # told once: signal 0 only asks whether it is there
                    os.kill(state.pid, 0 if told else signal.SIGTERM)
                except ProcessLookupError:  # of an earlier version: only what it forked lives on
                    break
                told = True
        self._kill()

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            with self.log.open("rb") as log:  # the model may have made it of any length
                log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_BYTES))
                lines = log.read(LAST_BYTES).decode("utf-8", "replace").strip().splitlines()
        except FileNotFoundError:
            return "no log"
        return lines[-1][-400:] if lines else "nothing in its log"

    def _kill(self) -> None:
        """End its keeper by a second SIGTERM, which ends all that the server started; or by force.

        While the lock is held the process exists, and its number is no other's.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            if state := self.state():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(state.pid, number)
            for _ in polls(KILL_SECONDS, every=POLL_SECONDS):
                if not self.alive:
                    return
        raise self._problem("its processes to end when they are killed", "one that lives on")

    def _ask(self, command: bytes, descriptors: list[int]) -> tuple[bytes, list[int]]:
        # The path of a Unix socket may have 100 characters: come by a short link.
        with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as caller:
            link = Path(short, "s")
            link.symlink_to(self.folder.resolve())
            caller.settimeout(CONTROL_SECONDS)
            caller.connect(str(link / "control"))
            socket.send_fds(caller, [command], descriptors)
            reply, received, _, _ = socket.recv_fds(caller, 500, 1)
        return reply, received

    def _problem(self, expected: str, found: str) -> OutsideError:
        state = self.state()
        what = f"server of {state.identity}" if state else f"server {self.folder.name}"
        return OutsideError(what, expected=expected, found=found, next_step=f"read {self.log}")


@dataclass(frozen=True)
class Slot:
    """The servers of one model in one environment."""

    folder: Path

    @property
    def deploy_lock(self) -> Path:
        """Whoever changes the slot holds this."""
        return self.folder / "deploy.lock"

    def current(self) -> ServerProcess | None:
        """The server that is meant to serve; it may have died."""
        try:
            name = (self.folder / "current").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return ServerProcess(self.folder / "servers" / name)

    def servers(self) -> list[ServerProcess]:
        """All servers, living and dead, oldest first."""
        return [ServerProcess(each) for each in sorted((self.folder / "servers").glob("*"))]

    def incumbent(self) -> ServerProcess | None:
        """The server that serves callers now: `current`, or one that a killed deploy left."""
        current = self.current()
        if current and current.alive:
            return current
        for server in self.servers():
            state = server.state()
            if state and state.phase in ("serving", "restarting") and server.alive:
                return server
        return None

    def commit(self, server: ServerProcess) -> None:
        """Make `server` the current one: from here on all others are left over."""
        unfinished = self.folder / "current.tmp"
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(server.folder.name)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.folder / "current")

    def remove(self, seconds: float) -> None:
        """Drain and end every server, by force after `seconds` each; name none as current."""
        for server in self.servers():
            server.end(seconds)
        (self.folder / "current").unlink(missing_ok=True)

    def start(self, deployment: Deployment) -> ServerProcess:
        """Start a server of `deployment`; it loads, and waits for the public socket.

        Its lock is locked here and inherited, so that there is no moment at which it lives unseen.
        Of this process's environment it sees what model code may see, and the server's settings.

        Raises:
            UsageError: a deployment without context and interpreter, which is one of an image.
            OutsideError: the interpreter is not there.
        """
        if deployment.context is None or deployment.python is None:
            raise UsageError(
                f"deployment of {deployment.identity}",
                expected="a build context and an interpreter",
                found="an image" if deployment.image else "neither",
                next_step="deploy it with --target kubernetes, which runs images",
            )
        if not os.access(deployment.python, os.X_OK):
            wanted = deployment.identity
            build = commands.station("build", wanted.model, wanted.version)
            raise OutsideError(
                f"interpreter {deployment.python}",
                expected="the Python of the release's environment",
                found="no such program",
                next_step=f"run `{build}`, which makes the environment",
            )
        folder = self.folder / "servers" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        folder.mkdir(parents=True, mode=0o700)
        command = self._command(deployment.python, deployment.context)
        with (folder / "lock").open("wb") as lock, (folder / "log").open("ab") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _launch([*command, "--lock", str(lock.fileno())], folder, lock, log)
        return ServerProcess(folder)

    def _command(self, python: Path, context: Path) -> list[str]:
        """The keeper of a server, run by the pipeline's own interpreter."""
        keeper = [sys.executable, "-I", "-S", "-B", str(SERVER_PROCESS)]
        folders = ["--context", str(context.resolve()), "--slot", str(self.folder.resolve())]
        return [*keeper, "--python", str(python.absolute()), *folders]

    def prune(self) -> None:
        """Remove what dead servers left, except the newest: its log may be needed."""
        dead = [server for server in self.servers() if not server.alive]
        for server in dead[:-1]:
            remove(server.folder)


def _launch(command: Sequence[str], folder: Path, lock: IO[bytes], log: IO[bytes]) -> None:
    """Run the command until the keeper has detached itself from it."""
    settings = {key: os.environ[key] for key in os.environ if key.startswith("SERVING_")}
    subprocess.run(
        command,
        cwd=folder,
        env=without_secrets(folder) | settings,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[lock.fileno()],
        timeout=LAUNCH_SECONDS,
        check=False,
    )
