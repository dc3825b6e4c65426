"""The keeper of one local model server: it starts it confined, and speaks for it.

    <the pipeline's python> -I -S -B <this folder> --python FILE --context DIR --slot DIR --lock FD

The current folder is this server's own; `local/slot.py` is the other side of what lies there. The
server itself can change none of it but `own/`: what the pipeline believes, the keeper wrote.

    lock        inherited open and locked: held as long as the keeper lives, however it ends
    server.lock the server's own: one whose keeper was killed ends a moment after it
    state.json  the keeper's pid, phase (loading, ready, serving, draining), ports, since, release
    control     Unix socket: `give` answers the public listening socket, `take` brings it
    log         what server and model print; the last LOG_BYTES and those before
    own/        the server's HOME and TMPDIR

SIGTERM drains the server; a second one ends it. It is drained as well when no deploy is under way
and the slot's file `current` names another living server: a deploy that was killed leaves no two
releases answering. When the server ends, all that it started is ended. Standard library only.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
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

SERVER = Path(__file__).with_name("server.py")
LOG_BYTES = 5 * 2**20
WATCH_SECONDS = 1.0
CONTROL_SECONDS = 10.0


class Keeper:
    """One server, what is believed of it, and the public socket once it has that."""

    def __init__(self, slot: Path, probe: socket.socket, channel: socket.socket) -> None:
        self._slot = slot
        self._probe_port = probe.getsockname()[1]
        self._channel = channel
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._draining = False

    def keep(self, server: int, control: socket.socket) -> int | None:
        """Watch until the server ends; return its wait status, None where it had to be ended."""
        threading.Thread(target=self._answer, args=(control,), daemon=True).start()
        while True:
            told = signal.sigtimedwait(sandbox.SIGNALS, WATCH_SECONDS)
            if told is None:
                bound_log()
                if not self._draining and self._is_left_over():
                    self._drain(server)
            elif told.si_signo == signal.SIGCHLD:
                ended, status = sandbox.reap(server)
                if ended:
                    return status
            elif self._draining:
                return None
            else:
                self._drain(server)

    def _drain(self, server: int) -> None:
        with self._lock:
            self._draining = True
            if self._listener:
                self._listener.close()
            with contextlib.suppress(OSError):  # a full disk keeps nobody from draining
                write_state(phase="draining")
        os.kill(server, signal.SIGTERM)

    def _answer(self, control: socket.socket) -> None:
        """Say that the server is ready; then answer one caller after another, in this thread."""
        if self._channel.recv(16) != b"ready":
            return
        with self._lock:
            if not self._draining:
                write_state(phase="ready", probe_port=self._probe_port)
        self._channel.settimeout(CONTROL_SECONDS)
        while True:
            caller, _ = control.accept()
            with caller, contextlib.suppress(OSError):
                caller.settimeout(CONTROL_SECONDS)
                self._command(caller)

    def _command(self, caller: socket.socket) -> None:
        command, received, _, _ = socket.recv_fds(caller, 16, 1)
        if command == b"take" and received:
            caller.sendall(self._take(socket.socket(fileno=received[0])))
        elif command == b"give" and self._listener and self._listener.fileno() >= 0:
            socket.send_fds(caller, [b"given"], [self._listener.fileno()])
        else:
            caller.sendall(b"refused")

    def _take(self, listener: socket.socket) -> bytes:
        """Bring the public socket to the server; what it answers."""
        if self._listener or self._draining:
            listener.close()
            return b"refused"
        socket.send_fds(self._channel, [b"take"], [listener.fileno()])
        answer = self._channel.recv(500)
        with self._lock:
            if answer == b"taken" and not self._draining:
                self._listener = listener
                write_state(phase="serving", public_port=listener.getsockname()[1])
                return answer
        listener.close()
        return answer

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
    """Keep the log below twice LOG_BYTES: what is there becomes `log.previous`."""
    if os.fstat(sys.stderr.fileno()).st_size > LOG_BYTES:
        with contextlib.suppress(OSError):  # a full disk: then above all make room
            shutil.copyfile("log", "log.previous")
        os.ftruncate(sys.stderr.fileno(), 0)


def detach() -> None:
    """Go on as a child in a session of its own: nobody's child, no signal from a terminal."""
    if os.fork():
        os._exit(0)
    os.setsid()


def start_server(python: Path, context: Path, probe: socket.socket, channel: socket.socket) -> int:
    """Start the server, confined to its own folder, and give it both sockets; its number."""
    own = Path("own").absolute()
    own.mkdir(mode=0o700, exist_ok=True)
    policy = Policy(
        str(own), [*sandbox.interpreter_reads(python), str(context), str(SERVER)], mounted=True
    )
    for each in (probe, channel):
        os.set_inheritable(each.fileno(), True)
    numbers = ["--probe", str(probe.fileno()), "--keeper", str(channel.fileno())]
    program = [str(python), "-I", "-B", str(SERVER), "--context", str(context), *numbers]
    os.environ.update(HOME=str(own), TMPDIR=str(own))
    lock = os.open("server.lock", os.O_CREAT | os.O_WRONLY)
    return sandbox.start_confined(policy, program, lock)


def _parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server_process", description="one local model server")
    parser.add_argument("--python", type=Path, required=True, help="interpreter of the model")
    parser.add_argument("--context", type=Path, required=True, help="build context to serve")
    parser.add_argument("--slot", type=Path, required=True, help="folder of the slot")
    parser.add_argument("--lock", type=int, required=True, help="descriptor of the locked file")
    return parser.parse_args(words)


def main() -> int:
    """Start, keep, end; return the server's exit code."""
    arguments = _parse()
    detach()
    os.set_inheritable(arguments.lock, False)
    release = json.loads((arguments.context / "release.json").read_text())
    write_state(phase="loading", **Identity.read(release).fields())
    sandbox.adopt()
    with socket.create_server(("127.0.0.1", 0)) as probe, _control() as control:
        ours, theirs = socket.socketpair()
        server = start_server(arguments.python, arguments.context, probe, theirs)
        keeper = Keeper(arguments.slot, probe, ours)
        for each in (theirs, probe):  # the server's alone: they end with it
            each.close()
        status = keeper.keep(server, control)
    sandbox.end_all()
    return os.waitstatus_to_exitcode(status) & 0xFF if status is not None else 1


if __name__ == "__main__":
    raise SystemExit(main())
