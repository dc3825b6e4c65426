"""Serve the quiet model under several signatures: `python quiet_servers.py FOLDER`.

Prints `{"signature": port, …}` on one line and runs until its standard input ends. One process for
all, so that a test's minute does not go by in starting them.
"""

import asyncio
import json
import socket
import sys
from pathlib import Path

import mlflow
import numpy as np
import uvloop
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array

from serving.app import create_app
from serving.server import serve
from serving.settings import Settings

SIGNATURES: dict[str, ModelSignature | None] = {
    "none": None,
    "doubles": ModelSignature(
        inputs=Schema([ColSpec("double", name) for name in "abc"]),
        params=ParamSchema([ParamSpec("tag", "string", "none")]),
    ),
    "strings": ModelSignature(inputs=Schema([ColSpec("string", "a"), ColSpec("long", "b")])),
    "arrays": ModelSignature(inputs=Schema([ColSpec(Array("string"), "a")])),
    "tensor": ModelSignature(inputs=Schema([TensorSpec(np.dtype("float32"), (-1, 2, 2))])),
    "tensors": ModelSignature(
        inputs=Schema(
            [
                TensorSpec(np.dtype("float64"), (-1, 2), "x"),
                TensorSpec(np.dtype("str"), (-1,), "t"),
            ]
        )
    ),
    "wide": ModelSignature(inputs=Schema([ColSpec("double", f"c{i}") for i in range(2000)])),
}


def _context(folder: Path, signature: ModelSignature | None) -> Path:
    folder.mkdir()
    names = ("model", "version", "digest", "release")
    release = {**dict.fromkeys(names, folder.name), "batching": True}
    (folder / "release.json").write_text(json.dumps(release))
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=str(Path(__file__).with_name("quiet_model.py")),
        signature=signature,
        pip_requirements=["mlflow"],
    )
    return folder


async def _host(root: Path) -> None:
    stop = asyncio.Event()
    settings = Settings(drain_idle_seconds=0, log_sample=0)
    ports, servers = {}, []
    for name, signature in SIGNATURES.items():
        app = create_app(_context(root / name, signature), settings)
        bound = socket.create_server(("127.0.0.1", 0))
        bound.setblocking(False)
        ports[name] = bound.getsockname()[1]
        servers.append(serve(app, [bound], stop=stop, settings=settings))
    running = asyncio.gather(*servers)
    print(json.dumps(ports), flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    await running


if __name__ == "__main__":
    uvloop.run(_host(Path(sys.argv[1])))
