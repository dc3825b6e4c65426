"""`python -m serving`: serve the model of a context folder until SIGTERM.

SIGUSR1 says that SIGTERM is near: it goes on serving, is not ready, and keeps no connection.

Exit codes: 0 drained and stopped, 1 predictions or the interpreter hung, 2 wrong usage, settings or
context, 3 model, port or worker failed.
"""

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from serving import imports, workers
from serving.context import model_folder, read_release
from serving.cpus import limit_threads
from serving.errors import ServingError
from serving.settings import Settings, settings_table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve one MLflow model by MLflow's scoring protocol, and merge requests.",
        epilog=f"settings, each an environment variable (default):\n{settings_table()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--context", type=Path, default=Path(), help="the folder with the model (default: .)"
    )
    parser.add_argument(
        "--host",
        default="0.0.0.0",  # noqa: S104 - a container is reached from outside of it
        help="the address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8080,
        help="the port to listen on; 0 for any free port (default: %(default)s)",
    )
    parser.add_argument(
        "--fd", type=int, help="the number of an inherited listening socket, instead of a port"
    )
    return parser


def _socket(arguments: argparse.Namespace) -> socket.socket:
    """The bound socket; connections are refused until the model is loaded."""
    if arguments.fd is not None:
        return socket.socket(fileno=arguments.fd)
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((arguments.host, arguments.port))
    except (OSError, OverflowError) as error:
        raise ServingError(
            f"address {arguments.host} port {arguments.port}",
            expected="one that is free on this machine",
            found=str(error),
            next_step="stop what listens there, or choose another --port",
        ) from error
    return bound


def _serve(context: Path, bound: socket.socket, settings: Settings) -> NoReturn:
    imports.prepare(model_folder(context))
    import uvloop

    from serving.app import create_app
    from serving.server import is_hung, serve

    app = create_app(context, settings)

    async def run() -> None:
        stop = asyncio.Event()

        def drain() -> None:
            app.begin_drain()
            stop.set()

        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, drain)
        loop.add_signal_handler(signal.SIGUSR1, app.begin_drain)
        bound.listen(2048)
        host, port = bound.getsockname()[:2]
        logging.info("serving %s on %s:%d", app.release.title, host, port)
        await serve(app, [bound], stop=stop, settings=settings)

    uvloop.run(run())
    logging.shutdown()
    sys.stdout.flush()
    os._exit(is_hung(app, settings))  # nothing waits for threads, the model's among them


def _configure_logs() -> None:
    """Messages to stderr; the lines about requests, bare JSON, to stdout."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    requests = logging.getLogger("serving.requests")
    requests.propagate = False
    requests.setLevel(logging.INFO)
    requests.addHandler(logging.StreamHandler(sys.stdout))


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, serve, return the exit code."""
    arguments = _parser().parse_args(argv)
    _configure_logs()
    faulthandler.enable()  # a crash says in which code
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # while the model is being loaded
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        settings = Settings.from_environment(os.environ)
        limit_threads(settings.workers)
        read_release(arguments.context)  # what is wrong there is said before a port is taken
        model_folder(arguments.context)
        bound = _socket(arguments)
        if settings.workers > 1:
            workers.run_workers(arguments.context, bound, settings)
        else:
            _serve(arguments.context, bound, settings)
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
