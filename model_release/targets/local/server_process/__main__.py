"""The keeper of a local model server: it starts it confined, speaks for it, and replaces it.

    <the pipeline's python> -I -S -B <this folder> --python FILE --context DIR --slot DIR --lock FD

The current folder is this server's own; `local/slot.py` is the other side of what lies there. The
server itself can change none of it but `own/`: what the pipeline believes, the keeper wrote.

    lock        inherited open and locked: held as long as the keeper lives, however it ends
    server.lock the server's own: one whose keeper was killed ends a moment after it
    state.json  the keeper's pid, phase (loading, ready, serving, draining; restarting, from the end
                of a server until another serves in its place), ports, since, release
    control     Unix socket: `give` answers the public listening socket, `take` brings it
    log         what server and model print; the last LOG_BYTES and those before
    own/        the server's HOME and TMPDIR

A server that has served and ends by itself is replaced, after a pause that grows; callers wait,
for the keeper holds the public socket. One that ends before it served is not.

SIGTERM drains the server; a second one ends it. It is drained as well when no deploy is under way
and the slot's file `current` names another living server: a deploy that was killed leaves no two
releases answering. When the server ends, all that it started is ended. Standard library only.
"""

import argparse
import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if not __package__:  # run by its path, under `-I -S`: nothing else says where the library is
    sys.path[0] = str(Path(__file__).resolve().parents[4])

from model_release.identity import Identity
from model_release.processes import sandbox
from model_release.processes.confinement import Policy
from model_release.processes.locks import is_held
from model_release.processes.removal import remove

SERVER = Path(__file__).with_name("server.py")
LOG_BYTES = 5 * 2**20
WATCH_SECONDS = 1.0
CONTROL_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""Before another server starts: each pause is twice the one before."""
STEADY_SECONDS = 300.0
"""After a server that lived so long, the first pause again."""
START_SECONDS = 300.0
"""A server in another's place that does not serve by then is ended in its turn."""


class ConfinedServer:
    """One server process, confined to its own folder, and what it and its keeper speak through."""

    def __init__(self, python: Path, context: Path) -> None:
        """Start it; the private socket and the other end of the channel are its alone."""
        self.loaded = self.serves = self.silent = False
        own = Path("own").absolute()
        remove(own)  # of the one before, where it is no mount
        own.mkdir(mode=0o700, exist_ok=True)
        os.environ.update(HOME=str(own), TMPDIR=str(own))
        reads = [*sandbox.interpreter_reads(python), str(context), str(SERVER)]
        policy = Policy(str(own), reads, mounted=True)
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(CONTROL_SECONDS)
        probe = socket.create_server(("127.0.0.1", 0))
        self.probe_port = probe.getsockname()[1]
        for each in (probe, theirs):
            os.set_inheritable(each.fileno(), True)
        numbers = ["--probe", str(probe.fileno()), "--keeper", str(theirs.fileno())]
        program = [str(python), "-I", "-B", str(SERVER), "--context", str(context), *numbers]
        with probe, theirs, Path("server.lock").open("wb") as lock:
            self.pid = sandbox.start_confined(policy, program, lock.fileno())


class Keeper:
    """One server, or another in its place; what is believed of it; and the public socket."""

    def __init__(self, slot: Path, python: Path, context: Path, control: socket.socket) -> None:
        self._slot = slot
        self._program = python, context
        self._control = control
        self._signals = signal_descriptor()
        self._listener: socket.socket | None = None
        self._draining = False

    def keep(self) -> int:
        """Keep a server, and another in its place, until one ends for good; its exit code."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            begun = time.monotonic()
            code = self._keep_one()
            sandbox.end_all()
            if self._draining or self._listener is None:
                return code & 0xFF
            lived = time.monotonic() - begun
            if lived > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            told = f"warning: the server ended after {lived:.0f} s with exit code {code}; "
            with contextlib.suppress(OSError):  # a full disk keeps no server from being replaced
                write_state(phase="restarting")
                os.write(2, f"{told}another one starts in {pause:g} s\n".encode())
            if self._is_told_within(pause):
                return 0
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _keep_one(self) -> int:
        """Start a server, watch until it ends; its exit code, 1 where it is to be ended."""
        try:
            server = ConfinedServer(*self._program)
        except OSError as error:  # no memory, process, descriptor or space is left
            with contextlib.suppress(OSError):
                os.write(2, f"error: no server can be started: {error}\n".encode())
            return 1
        late = time.monotonic() + START_SECONDS
        while True:
            told = self._next_signal(server)
            if told == signal.SIGCHLD:
                ended, status = sandbox.reap(server.pid)
                if ended:
                    return os.waitstatus_to_exitcode(status)
            elif told and self._draining:
                return 1
            elif told:
                self._drain(server)
            elif self._listener and not server.serves and time.monotonic() > late:
                return 1

    def _is_told_within(self, seconds: float) -> bool:
        """Whether it is told to end before that many seconds are over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._next_signal(None) not in (None, signal.SIGCHLD):
                return True
        return False

    def _next_signal(self, server: ConfinedServer | None) -> int | None:
        """A signal that comes within a moment, SIGTERM where this server is left over; or None.

        Meanwhile whoever calls is answered, and the server heard.
        """
        speakers: list[int | socket.socket] = [self._signals, self._control]
        if server and not server.silent:
            speakers.append(server.channel)
        heard, _, _ = select.select(speakers, [], [], WATCH_SECONDS)
        if self._signals in heard:
            return signal.sigwait(sandbox.SIGNALS)
        bound_log()
        with contextlib.suppress(OSError):  # the other end is gone, or does not answer in time
            if server and server.channel in heard:
                self._hear(server)
            if self._control in heard:
                self._answer(server)
        return signal.SIGTERM if not self._draining and self._is_left_over() else None

    def _hear(self, server: ConfinedServer) -> None:
        """It says once that it is loaded; and hangs up when it begins to drain."""
        server.loaded = server.channel.recv(16) == b"ready" and not server.loaded
        server.silent = self._draining or not server.loaded
        if server.silent:
            write_state(phase="draining")
        elif self._listener:
            self._bring(server, self._listener)
        else:
            write_state(phase="ready", probe_port=server.probe_port)

    def _answer(self, server: ConfinedServer | None) -> None:
        """Do what a caller asks for."""
        caller, _ = self._control.accept()
        with caller:
            caller.settimeout(CONTROL_SECONDS)
            command, received, _, _ = socket.recv_fds(caller, 16, 1)
            if command == b"take" and received:
                caller.sendall(self._take(server, received[0]))
            elif command == b"give" and self._listener and not self._draining:
                socket.send_fds(caller, [b"given"], [self._listener.fileno()])
            else:
                caller.sendall(b"refused")

    def _take(self, server: ConfinedServer | None, descriptor: int) -> bytes:
        """Let the server accept on the public socket, if it has none; what it answers."""
        os.set_inheritable(descriptor, False)  # a server in its place is brought it, too
        listener = socket.socket(fileno=descriptor)
        answer = b"refused"
        if server and server.loaded and not self._listener and not self._draining:
            answer = self._bring(server, listener)
        if self._listener is not listener:
            listener.close()
        return answer

    def _bring(self, server: ConfinedServer, listener: socket.socket) -> bytes:
        socket.send_fds(server.channel, [b"take"], [listener.fileno()])
        answer = server.channel.recv(500)
        if answer == b"taken":
            server.serves, self._listener = True, listener
            public = listener.getsockname()[1]
            write_state(phase="serving", probe_port=server.probe_port, public_port=public)
        return answer

    def _drain(self, server: ConfinedServer) -> None:
        self._draining = True
        if self._listener:
            self._listener.close()
        with contextlib.suppress(OSError):  # a full disk keeps nobody from draining
            write_state(phase="draining")
        os.kill(server.pid, signal.SIGTERM)

    def _is_left_over(self) -> bool:
        """Whether a deploy that was killed left this server beside the one that is meant to serve.

        The deploy that started this server holds its lock until this server is current or ended:
        read in this order, a free lock means that `current` will not come to name this one.
        """
        if is_held(self._slot / "deploy.lock"):
            return False
        try:
            current = (self._slot / "current").read_text()
        except OSError:
            current = ""
        if current == Path.cwd().name:
            return False
        other = self._slot / "servers" / current / "lock"
        return self._listener is None or (bool(current) and is_held(other))


def _control() -> socket.socket:
    """The control socket. Its name is relative: absolute ones may not exceed 100 characters."""
    control = socket.socket(socket.AF_UNIX)
    control.bind("control")
    control.listen()
    return control


_state: dict[str, Any] = {}


def write_state(**changes: object) -> None:
    """Change `state.json` as one step."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    _state.update(changes, pid=os.getpid(), since=since)
    unfinished = Path("state.json.tmp")
    unfinished.write_text(json.dumps(_state))
    unfinished.replace("state.json")


def bound_log() -> None:
    """Keep the log below twice LOG_BYTES: its end, whatever length it has, is `log.previous`."""
    if (size := os.fstat(sys.stderr.fileno()).st_size) > LOG_BYTES:
        with contextlib.suppress(OSError), Path("log").open("rb") as log:
            log.seek(size - LOG_BYTES)  # on a full disk above all make room
            Path("log.previous").write_bytes(log.read(LOG_BYTES))
        os.ftruncate(sys.stderr.fileno(), 0)


def signal_descriptor() -> int:
    """A descriptor that can be read from while one of the (blocked) signals waits: signalfd(2)."""
    mask = (ctypes.c_uint64 * 16)(sum(1 << each - 1 for each in sandbox.SIGNALS))
    return int(ctypes.CDLL(None).signalfd(-1, mask, os.O_CLOEXEC))


def detach() -> None:
    """Go on as a child in a session of its own: nobody's child, no signal from a terminal."""
    if os.fork():
        os._exit(0)
    os.setsid()


def _parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server_process", description="one local model server")
    parser.add_argument("--python", type=Path, required=True, help="interpreter of the model")
    parser.add_argument("--context", type=Path, required=True, help="build context to serve")
    parser.add_argument("--slot", type=Path, required=True, help="folder of the slot")
    parser.add_argument("--lock", type=int, required=True, help="descriptor of the locked file")
    return parser.parse_args(words)


def main() -> int:
    """Start, keep, end; return the exit code of the last server."""
    arguments = _parse()
    detach()
    os.set_inheritable(arguments.lock, False)
    release = json.loads((arguments.context / "release.json").read_text())
    write_state(phase="loading", **Identity.read(release).fields())
    sandbox.adopt()
    with _control() as control:
        return Keeper(arguments.slot, arguments.python, arguments.context, control).keep()


if __name__ == "__main__":
    raise SystemExit(main())
