"""The models and the servers that are compared: this one, MLflow's and LitServe, at their best."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from uv import find_uv_bin

from model_release import ROOT

MODELS = ("logistic regression", "forest of 100", "gradient boosting, 50 columns")
MLFLOW_APP = "mlflow.pyfunc.scoring_server.app:app"
START_SECONDS = 120.0


class Server(NamedTuple):
    """One running server: where it answers requests, and its process."""

    url: str
    pid: int


Contender = Callable[[Path], AbstractContextManager[Server]]
"""Starts a server of the model in a context folder."""


class Tuning(NamedTuple):
    """Settings of LitServe: requests a batch, seconds it waits for them, processes, its queue."""

    batch: int
    wait: float
    workers: int
    servers: int
    fast_queue: bool


TUNINGS = (
    Tuning(1, 0.0, 1, 1, fast_queue=False),
    Tuning(1, 0.0, 2, 1, fast_queue=False),
    Tuning(16, 0.001, 1, 1, fast_queue=False),
    Tuning(32, 0.001, 1, 1, fast_queue=False),
    Tuning(32, 0.01, 1, 1, fast_queue=False),
    Tuning(32, 0.001, 1, 2, fast_queue=False),
    Tuning(32, 0.001, 1, 1, fast_queue=True),
    Tuning(32, 0.001, 2, 1, fast_queue=False),
)
"""What is tried: the best of them, by model, is the one compared with."""


def train(folder: Path) -> None:
    """Save the three models as context folders, each named as in MODELS."""
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.datasets import load_iris, make_classification
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    iris, species = load_iris(return_X_y=True, as_frame=True)
    wide, classes = make_classification(5000, 50, n_informative=20, random_state=0)
    wide = pd.DataFrame(wide, columns=[f"column {i}" for i in range(50)])
    forest = RandomForestClassifier(100, max_depth=5, random_state=42)
    trained = (
        (LogisticRegression(max_iter=500), iris, species),
        (forest, iris, species),
        (HistGradientBoostingClassifier(random_state=0), wide, classes),
    )
    for name, (model, features, target) in zip(MODELS, trained, strict=True):
        model.fit(features, target)
        mlflow.sklearn.save_model(
            model,
            str(folder / name / "model"),
            input_example=features.head(1),
            signature=infer_signature(features, model.predict(features)),
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
        write_release(folder / name)


def write_release(context: Path) -> None:
    """Say what is served, and that requests may be merged."""
    release = {"model": context.name, "version": "1", "digest": "", "release": "", "batching": True}
    (context / "release.json").write_text(json.dumps(release))


def mlflow_at_its_best(context: Path) -> AbstractContextManager[Server]:
    """MLflow's app on uvicorn: uvloop, httptools, two workers, no access log, one thread each."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", MLFLOW_APP, "--port", str(port), "--workers", "2"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    model = {"__pyfunc_model_path__": str(context / "model"), "OMP_NUM_THREADS": "1"}
    return running([*command, "--log-level", "warning"], port, context, **model)


def mlflow_as_installed(context: Path) -> AbstractContextManager[Server]:
    """`mlflow models serve` with its defaults."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", str(context / "model"), "-p", str(port)]
    found = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the command calls `uvicorn`
    return running(command, port, context, PATH=found)


def ours(context: Path) -> AbstractContextManager[Server]:
    """This server with its defaults."""
    port = free_port()
    command = [sys.executable, "-m", "serving", "--host", "127.0.0.1", "--port", str(port)]
    return running(command, port, context)


def litserve(python: Path, tuning: Tuning) -> Contender:
    """LitServe with these settings, in the environment of `python` (see `litserve_environment`)."""

    def start(context: Path) -> AbstractContextManager[Server]:
        port = free_port()
        app = Path(__file__).with_name("litserve_app.py")
        settings = {"port": port, "model": str(context / "model"), **tuning._asdict()}
        command = [str(python), str(app), json.dumps(settings)]
        return running(command, port, context, OMP_NUM_THREADS="1")

    return start


def litserve_environment(folder: Path) -> Path:
    """Make an environment with LitServe and the packages of this one; return its interpreter."""
    python = folder / "bin" / "python"
    same = ("mlflow", "scikit-learn", "pandas", "numpy", "uvloop", "httptools")
    packages = ["litserve", "pyzmq", *(f"{name}=={version(name)}" for name in same)]
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *packages],
    ):
        subprocess.run([find_uv_bin(), *command], check=True)
    return python


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, context: Path, **variables: str) -> Iterator[Server]:
    """A server process, once it answers its model's input example, until the end of the block."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    process = subprocess.Popen(
        command,
        cwd=context,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Server(f"http://127.0.0.1:{port}/invocations", process.pid)
    example = (context / "model" / "serving_input_example.json").read_bytes()
    try:
        until = time.monotonic() + START_SECONDS
        while not answers(server.url, example):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{' '.join(command)} did not start in {context}")
            time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with suppress(ProcessLookupError):  # what it started and did not end
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url: str, body: bytes) -> bool:
    """Whether a server answers a scoring request."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return bool(response.status == 200)
    except OSError:
        return False
