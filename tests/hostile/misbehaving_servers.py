"""Context folders with a model that misbehaves, and MLflow's app over the same model.

`python misbehaving_servers.py FOLDER` saves them: `merged` and `alone`, whose requests are
predicted in several threads. With `--serve` it then serves `merged` by this server, and by MLflow's
app with uvicorn on h11 and on httptools; prints `{"serving": port, …}` on one line, and runs until
its standard input ends.
"""

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import mlflow
import uvicorn
from mlflow.models import ModelSignature
from mlflow.pyfunc import load_model, scoring_server
from mlflow.types import ColSpec, Schema

MODEL = Path(__file__).with_name("misbehaving_model.py")
PARSERS: tuple[Any, ...] = ("h11", "httptools")


def save(context: Path, *, batching: bool) -> None:
    """Save the model as a context folder."""
    release = {
        "model": "misbehaving",
        "version": "7",
        "digest": "sha256:" + "0" * 64,
        "release": "release-of-misbehaving",
        "batching": batching,
    }
    mlflow.pyfunc.save_model(
        context / "model",
        python_model=str(MODEL),
        signature=ModelSignature(inputs=Schema([ColSpec("string", "do")])),
        pip_requirements=["mlflow"],
    )
    (context / "release.json").write_text(json.dumps(release))


def _listen() -> socket.socket:
    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)
    return bound


async def host(context: Path) -> None:
    """Serve the model in three ways until standard input ends."""
    from serving.app import create_app
    from serving.server import serve
    from serving.settings import Settings

    theirs: Any = scoring_server.init(load_model(str(context / "model")))
    sockets = {name: _listen() for name in ("serving", *PARSERS)}
    settings = Settings(log_sample=0)
    app = create_app(context, settings)
    servers = [serve(app, [sockets["serving"]], stop=asyncio.Event(), settings=settings)]
    for name in PARSERS:
        config = uvicorn.Config(theirs, http=name, loop="none", lifespan="off", log_level="error")
        servers.append(uvicorn.Server(config).serve([sockets[name]]))
    running = asyncio.gather(*servers)
    ports = {name: each.getsockname()[1] for name, each in sockets.items()}
    print(json.dumps(ports), flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    running.cancel()


def main(folder: Path, *, serving: bool) -> None:
    """Save what is not there yet, serve where that is wished."""
    if not folder.exists():
        for name in ("merged", "alone"):
            save(folder / name, batching=name == "merged")
    if serving:
        asyncio.run(host(folder / "merged"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), serving="--serve" in sys.argv)
