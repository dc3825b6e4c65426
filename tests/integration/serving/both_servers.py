"""Serve every context below a folder twice, by MLflow's scoring app and by this server.

`python both_servers.py FOLDER` prints `{"name": {"mlflow": port, "serving": port}, …}` on one line
and runs until its standard input ends. One process for all: starting one for each takes minutes.
"""

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop
from mlflow.pyfunc import load_model, scoring_server

from serving.app import create_app
from serving.server import serve
from serving.settings import Settings


def _listen() -> socket.socket:
    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)
    return bound


async def _host(root: Path) -> None:
    stop = asyncio.Event()
    settings = Settings(drain_idle_seconds=0, log_sample=0)
    ports: dict[str, dict[str, int]] = {}
    servers = []
    for context in sorted(root.iterdir()):
        model: Any = load_model(str(context / "model"))
        theirs: Any = scoring_server.init(model)
        theirs.stuck_seconds = float  # it never says that it hangs
        apps = {
            "mlflow": theirs,
            "serving": create_app(context, settings),
        }
        ports[context.name] = {}
        for name, app in apps.items():
            bound = _listen()
            ports[context.name][name] = bound.getsockname()[1]
            servers.append(serve(app, [bound], stop=stop, settings=settings))
    running = asyncio.gather(*servers)
    print(json.dumps(ports), flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    await running


if __name__ == "__main__":
    uvloop.run(_host(Path(sys.argv[1])))
