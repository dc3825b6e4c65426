"""One model server of the local target, in the model's own environment.

    <environment's python> -I <this folder> --context DIR --slot DIR --lock FD

The current folder is this server's own; `local/slot.py` is the other side of what lies there:

    lock        inherited open and locked: held as long as this process lives, however it ends
    state.json  pid, phase (loading, ready, serving, draining), ports, since, and the release
    control     Unix socket: `give` answers the public listening socket, `take` brings it
    log         what this process and the model print; the last LOG_BYTES and those before

It loads the model, serves it on a private port, and on the public socket once that is handed to it.
SIGTERM drains. It also drains by itself when no deploy is under way and the slot's file `current`
names another living server: a deploy that was killed leaves no two releases answering.

Only the standard library and, from the context, `serving` are imported here.
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.app import ServingApp
    from serving.settings import Settings

IDENTITY = ("model", "version", "digest", "release")
"""The fields that say what is served, as `model_release.identity` has them."""

LOG_BYTES = 5 * 2**20
WATCH_SECONDS = 1.0
CONTROL_SECONDS = 10.0


class ServerProcess:
    """The servers of one app over the private and the public socket, and the hand-over between."""

    def __init__(self, slot: Path, app: "ServingApp", settings: "Settings") -> None:
        self._slot = slot
        self._app = app
        self._settings = settings
        self._stop = asyncio.Event()
        self._servers: list[asyncio.Task[None]] = []
        self._listener: socket.socket | None = None

    async def run(self) -> None:
        """Serve until SIGTERM, then return when every request is answered."""
        self._loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(each, self._drain)
        with socket.create_server(("127.0.0.1", 0)) as probe, _control() as control:
            self._serve(probe.dup())
            write_state(phase="ready", probe_port=probe.getsockname()[1])
            threading.Thread(target=self._answer, args=(control,), daemon=True).start()
            watch = asyncio.create_task(self._watch())
            await self._stop.wait()
            await asyncio.gather(*self._servers, watch)

    def _serve(self, listener: socket.socket) -> None:
        from serving.server import serve

        task = asyncio.create_task(
            serve(self._app, [listener], stop=self._stop, settings=self._settings)
        )
        task.add_done_callback(lambda _: self._drain())
        self._servers.append(task)

    def _drain(self) -> None:
        if self._stop.is_set():
            return
        self._app.begin_drain()
        self._stop.set()
        if self._listener:
            self._listener.close()
        with contextlib.suppress(OSError):  # a full disk keeps nobody from draining
            write_state(phase="draining")

    def _answer(self, control: socket.socket) -> None:
        """Answer on the control socket, one caller after another; in a thread of its own."""
        while True:
            caller, _ = control.accept()
            with caller, contextlib.suppress(OSError):
                caller.settimeout(CONTROL_SECONDS)
                self._command(caller)

    def _command(self, caller: socket.socket) -> None:
        command, received, _, _ = socket.recv_fds(caller, 16, 1)
        if command == b"take" and received:
            taken = asyncio.run_coroutine_threadsafe(self._take(received[0]), self._loop)
            caller.sendall(taken.result(CONTROL_SECONDS))
        elif command == b"give" and self._listener and self._listener.fileno() >= 0:
            socket.send_fds(caller, [b"given"], [self._listener.fileno()])
        else:
            caller.sendall(b"refused")

    async def _take(self, descriptor: int) -> bytes:
        """Accept on the public socket from now on."""
        listener = socket.socket(fileno=descriptor)
        if self._stop.is_set() or self._listener:
            listener.close()
            return b"refused"
        try:
            listener.listen(2048)
        except OSError as error:  # bound by two processes, and the other one listened first
            listener.close()
            return str(error).encode()
        self._listener = listener
        self._serve(listener.dup())
        write_state(phase="serving", public_port=listener.getsockname()[1])
        return b"taken"

    async def _watch(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), WATCH_SECONDS)
            bound_log()
            if self._is_left_over():
                self._drain()

    def _is_left_over(self) -> bool:
        """Whether a deploy that was killed left this server beside the one that is meant to serve.

        The deploy that started this server holds its lock until this server is current or ended:
        read in this order, a free lock means that `current` will not come to name this one.
        """
        if _is_held(self._slot / "deploy.lock"):
            return False
        try:
            current = (self._slot / "current").read_text()
        except OSError:
            current = ""
        if current == Path.cwd().name:
            return False
        other = self._slot / "servers" / current / "lock"
        return self._listener is None or (bool(current) and _is_held(other))


def _control() -> socket.socket:
    """The control socket. Its name is relative: absolute ones may not exceed 100 characters."""
    control = socket.socket(socket.AF_UNIX)
    control.bind("control")
    control.listen()
    return control


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


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


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server_process", description="one local model server")
    parser.add_argument("--context", type=Path, required=True, help="build context to serve")
    parser.add_argument("--slot", type=Path, required=True, help="folder of the slot")
    parser.add_argument("--lock", type=int, required=True, help="descriptor of the locked file")
    return parser.parse_args()


def main() -> int:
    """Load, serve, drain; return the exit code, 0 after a drain."""
    arguments = _parse()
    detach()
    os.set_inheritable(arguments.lock, False)
    release = json.loads((arguments.context / "release.json").read_text())
    write_state(phase="loading", **{name: release[name] for name in IDENTITY})
    sys.path[0] = str(arguments.context)

    from serving.cpus import limit_threads
    from serving.errors import ServingError
    from serving.settings import Settings

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    try:
        settings = Settings.from_environment(os.environ)
        limit_threads(workers=1)
        import uvloop

        from serving.app import create_app

        process = ServerProcess(arguments.slot, create_app(arguments.context, settings), settings)
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    uvloop.run(process.run())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
