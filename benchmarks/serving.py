"""How this server compares with MLflow's scoring app at its best: `python benchmarks/serving.py`.

Both serve the same three models on this machine: MLflow's app on uvicorn with uvloop, httptools,
two workers, no access log, and one thread a worker for numerical libraries; this server with its
defaults. wrk (Debian's package) asks both in turn, A B A B, and each figure is the median of the
rounds. The ratios are what counts: absolute figures are those of the machine and its neighbours.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# model: least ratio of the throughputs at 32 connections
MODELS = {"logistic regression": 10.0, "forest of 100": 8.0, "gradient boosting, 50 columns": 12.0}
MLFLOW_APP = "mlflow.pyfunc.scoring_server.app:app"


Row = tuple[str, float, float]


class Load(NamedTuple):
    """What wrk measured: requests a second, latencies in milliseconds, answers not 2xx."""

    throughput: float
    p50: float
    p99: float
    errors: int


class Server(NamedTuple):
    """One running server."""

    port: int
    pid: int


def train(folder: Path) -> None:
    """Save the three models as context folders."""
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
    trained = zip(
        MODELS,
        (
            (LogisticRegression(max_iter=500), iris, species),
            (forest, iris, species),
            (HistGradientBoostingClassifier(random_state=0), wide, classes),
        ),
        strict=True,
    )
    for name, (model, features, target) in trained:
        model.fit(features, target)
        mlflow.sklearn.save_model(
            model,
            str(folder / name / "model"),
            input_example=features.head(1),
            signature=infer_signature(features, model.predict(features)),
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
        release = {"model": name, "version": "1", "digest": "", "release": "", "batching": True}
        (folder / name / "release.json").write_text(json.dumps(release))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, context: Path, **variables: str) -> Iterator[Server]:
    """A server process, once it answers /ping, until the end of the block."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **variables}
    process = subprocess.Popen(
        command, cwd=context, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 120
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{' '.join(command)} did not start in {context}")
            time.sleep(0.1)
        yield Server(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def opponent(context: Path) -> Any:
    """MLflow's scoring app at its best."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", MLFLOW_APP, "--port", str(port), "--workers", "2"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    model = {"__pyfunc_model_path__": str(context / "model"), "OMP_NUM_THREADS": "1"}
    return running([*command, "--log-level", "warning"], port, context, **model)


def ours(context: Path) -> Any:
    """This server with its defaults."""
    port = _free_port()
    command = [sys.executable, "-m", "serving", "--host", "127.0.0.1", "--port", str(port)]
    return running(command, port, context)


def load(server: Server, script: Path, connections: int, seconds: int) -> Load:
    """What wrk measures with `connections` that each send one request after the other."""
    threads = str(min(2, connections))
    url = f"http://127.0.0.1:{server.port}/invocations"
    command = ["wrk", "-t", threads, "-c", str(connections), "-d", f"{seconds}s", "--latency"]
    text = subprocess.run(
        [*command, "--timeout", "30s", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    ).stdout
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return Load(
        float(rate[1]) if rate else 0.0,
        _milliseconds(text, "50%"),
        _milliseconds(text, "99%"),
        int(errors[1]) if errors else 0,
    )


def _milliseconds(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)\b", text)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]] if found else 0.0


def memory(pid: int) -> float:
    """PSS of a process and all below it, in MiB."""
    total = 0
    pending = [pid]
    while pending:
        each = pending.pop()
        folder = Path(f"/proc/{each}")
        total += int(re.findall(r"^Pss:\s+(\d+)", (folder / "smaps_rollup").read_text(), re.M)[0])
        for task in (folder / "task").iterdir():
            pending += [int(child) for child in (task / "children").read_text().split()]
    return total / 1024


def _script(folder: Path, context: Path) -> Path:
    body = (context / "model" / "serving_input_example.json").read_text()
    script = folder / "request.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f"wrk.body = [==[{body}]==]\n"
    )
    return script


def compare(context: Path, rounds: int, seconds: int, folder: Path) -> list[Row]:
    """Rows of (measure, MLflow's figure, this server's) for one model."""
    script = _script(folder, context)
    busy: list[list[Load]] = [[], []]
    idle: list[list[Load]] = [[], []]
    with ExitStack() as stack:
        servers = [stack.enter_context(each(context)) for each in (opponent, ours)]
        for server in servers:
            load(server, script, 32, 2)
        for _ in range(rounds):
            for side, server in enumerate(servers):
                busy[side].append(load(server, script, 32, seconds))
                idle[side].append(load(server, script, 1, max(2, seconds // 3)))
        used = [memory(server.pid) for server in servers]
    if sum(each.errors for side in (*busy, *idle) for each in side):
        raise SystemExit("some answers were not 200: the figures would mean nothing")

    def median(side: list[Load], name: str) -> float:
        return float(statistics.median(getattr(each, name) for each in side))

    rows = {
        "throughput, 32 connections": [median(side, "throughput") for side in busy],
        "p99 at 32 connections, ms": [median(side, "p99") for side in busy],
        "p50 at 1 connection, ms": [median(side, "p50") for side in idle],
        "memory, MiB PSS": used,
    }
    return [(measure, theirs, here) for measure, (theirs, here) in rows.items()]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print one table, return 1 if a ratio misses its target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="A B rounds (%(default)s)")
    parser.add_argument("--seconds", type=int, default=10, help="of each run (%(default)s)")
    parser.add_argument("--model", choices=list(MODELS), action="append", help="only this model")
    arguments = parser.parse_args(argv)
    if not shutil.which("wrk"):
        print("wrk is missing; next: apt-get install wrk", file=sys.stderr)
        return 2
    missed = 0
    with tempfile.TemporaryDirectory(prefix="serving-benchmark-") as name:
        folder = Path(name)
        train(folder)
        print("| model | measure | mlflow | serving | ratio | target | |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for model in arguments.model or MODELS:
            targets = (MODELS[model], 1 / 8, 0.75, 0.55)
            rows = compare(folder / model, arguments.rounds, arguments.seconds, folder)
            for (measure, theirs, here), target in zip(rows, targets, strict=True):
                ratio = here / theirs
                met = ratio >= target if target > 1 else ratio <= target
                missed += not met
                sign, verdict = ("≥" if target > 1 else "≤"), ("met" if met else "missed")
                print(
                    f"| {model} | {measure} | {theirs:,.2f} | {here:,.2f} | {ratio:.3f} "
                    f"| {sign} {target:g} | {verdict} |",
                    flush=True,
                )
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
