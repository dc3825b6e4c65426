"""The model server that is kept: in the model's own environment, confined from its start.

    <environment's python> -I -B server.py --context DIR --probe FD --keeper FD

It loads the model, serves it on the private socket `probe`, and on the public one once the keeper
hands that over. SIGTERM drains. What it says to its keeper is short: `ready`, and to each socket
`taken` or why not; when it drains it hangs up. Only the standard library and, from the context,
`serving` are imported here.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.app import ServingApp
    from serving.settings import Settings

TAKE_SECONDS = 10.0


class KeptServer:
    """The servers of one app over the private and the public socket."""

    def __init__(self, app: "ServingApp", settings: "Settings", keeper: socket.socket) -> None:
        self._app = app
        self._settings = settings
        self._keeper = keeper
        self._stop = asyncio.Event()
        self._servers: list[asyncio.Task[None]] = []

    async def run(self, probe: socket.socket) -> None:
        """Serve until SIGTERM, then return when every request is answered."""
        self._loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(each, self._drain)
        self._serve(probe)
        threading.Thread(target=self._answer, daemon=True).start()
        await self._stop.wait()
        await asyncio.gather(*self._servers)

    def _serve(self, listener: socket.socket) -> None:
        from serving.server import serve

        task = asyncio.create_task(
            serve(self._app, [listener], stop=self._stop, settings=self._settings)
        )
        task.add_done_callback(lambda _: self._drain())
        self._servers.append(task)

    def _drain(self) -> None:
        if not self._stop.is_set():
            self._app.begin_drain()
            self._stop.set()
            self._keeper.shutdown(socket.SHUT_WR)

    def _answer(self) -> None:
        """Take the sockets that the keeper brings, until it drains; in a thread of its own."""
        with contextlib.suppress(BrokenPipeError):  # it drains
            self._keeper.sendall(b"ready")
            while True:
                _, received, _, _ = socket.recv_fds(self._keeper, 16, 1)
                if not received:  # the keeper has ended, and the kernel ends this process
                    return
                taken = asyncio.run_coroutine_threadsafe(self._take(received[0]), self._loop)
                self._keeper.sendall(taken.result(TAKE_SECONDS))

    async def _take(self, descriptor: int) -> bytes:
        """Accept on the public socket from now on."""
        listener = socket.socket(fileno=descriptor)
        if self._stop.is_set():
            listener.close()
            return b"refused"
        try:
            listener.listen(2048)
        except OSError as error:  # bound by two processes, and the other one listened first
            listener.close()
            return str(error).encode()
        self._serve(listener)
        return b"taken"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server", description="a model server that is kept")
    parser.add_argument("--context", type=Path, required=True, help="build context to serve")
    parser.add_argument("--probe", type=int, required=True, help="descriptor of the private socket")
    parser.add_argument("--keeper", type=int, required=True, help="descriptor of its keeper's end")
    return parser.parse_args()


def main() -> int:
    """Load, serve, drain; return the exit code, 0 after a drain."""
    arguments = _parse()
    faulthandler.enable()  # a crash says in which code
    keeper, probe = (socket.socket(fileno=each) for each in (arguments.keeper, arguments.probe))
    for each in (keeper, probe):
        os.set_inheritable(each.fileno(), False)
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

        server = KeptServer(create_app(arguments.context, settings), settings, keeper)
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    uvloop.run(server.run(probe))
    sys.stdout.flush()
    os._exit(0)  # nothing waits for threads, the model's among them


if __name__ == "__main__":
    raise SystemExit(main())
