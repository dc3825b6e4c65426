"""Time and memory of one holdout pass, against the model's own prediction of the same rows.

    python benchmarks/holdout.py [--rows 1000000] [--columns 50] [--rounds 3]

Bare: a process that imports mlflow, loads the model and predicts the rows, held in memory, in the
same batches; only `predict` is timed, and memory is that after loading. Pass: the evidence for the
gates (hash, read, predict, score) with the model alone, and with a champion beside it and the
champion gate's bootstrap. Each round measures one after the other; the table shows medians. Memory
is the resident set of the pipeline and the model's process together, sampled every 20 ms (pages
that they share count twice), above that of the bare process after loading.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from model_release import ROOT
from model_release.config import load_config
from model_release.digest import file_sha256, model_digest
from model_release.gates.champion import judge
from model_release.gates.evidence import Claims, Load, Scores
from model_release.measurement.collector import Collector
from model_release.measurement.subject import MeasuredModel

MODELS: dict[str, Callable[[], Any]] = {
    "logistic regression": LogisticRegression,
    "gradient boosting": HistGradientBoostingClassifier,
    "forest of 100, depth 10": lambda: RandomForestClassifier(100, max_depth=10, random_state=0),
}

BARE = """
import json, sys, time
import mlflow, numpy as np, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
memory = int(open("/proc/self/statm").read().split()[1]) * 4096
rows, columns, batch = map(int, sys.argv[2:])
values = np.random.default_rng(1).normal(size=(batch, columns))
frame = pd.DataFrame(values, columns=[f"f{i}" for i in range(columns)])
seconds = 0.0
for start in range(0, rows, batch):
    part = frame.iloc[: min(batch, rows - start)]
    started = time.perf_counter()
    model.predict(part)
    seconds += time.perf_counter() - started
print(json.dumps([seconds, memory]))
"""


def main() -> int:
    """Measure each model and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="the rows of the holdout")
    parser.add_argument("--columns", type=int, default=50, help="the features of each row")
    parser.add_argument("--rounds", type=int, default=3, help="how often each pass is measured")
    parser.add_argument(
        "--models", default=";".join(MODELS), help="the models to measure, separated by semicolons"
    )
    parser.add_argument("--pass", dest="models_of_pass", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.models_of_pass:
        configured, of_pass, *champion = (Path(path) for path in options.models_of_pass)
        print(json.dumps(_pass(configured, of_pass, with_champion=bool(champion))))
        return 0
    print(f"{options.rows:,} rows x {options.columns} columns, median of {options.rounds}")
    print(
        "| model | bare predict | pass | ratio | pass with champion | ratio | memory above load |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        batch = _prepare(Path(folder), options.rows, options.columns)
        for name in options.models.split(";"):
            model = _train(Path(folder), name, options.columns)
            shape = [str(options.rows), str(options.columns), str(batch)]
            rounds = [_round(Path(folder), model, shape) for _ in range(options.rounds)]
            bare, alone, both, above = (median(values) for values in zip(*rounds, strict=True))
            print(
                f"| {name} | {bare:.2f} s | {alone:.2f} s | {alone / bare:.2f} | {both:.2f} s "
                f"| {both / bare:.2f} | {above / 2**20:.0f} MiB |",
                flush=True,
            )
    return 0


def _prepare(folder: Path, rows: int, columns: int) -> int:
    """Write holdout and configuration (metrics, champion, bootstrap); answers the batch size."""
    values = np.random.default_rng(0).normal(size=(columns, rows))
    table = {f"f{i}": values[i] for i in range(columns)}
    path = folder / "holdout.parquet"
    pq.write_table(pa.table({**table, "y": (values[0] > 0).astype(np.int64)}), path)
    skip = {"skip": "not measured here"}
    gates = {
        "claimed_metrics": skip,
        "slices": skip,
        "measured_metrics": {"thresholds": {"accuracy": {"min": 0.5}, "f1_macro": {"min": 0.5}}},
        "champion": {"max_regression": {"accuracy": 0.01, "f1_macro": 0.01}},
    }
    holdout = {
        "uri": str(path),
        "sha256": file_sha256(path),
        "target": "y",
        "task": "classification",
    }
    (folder / "big.yaml").write_text(yaml.safe_dump({"holdout": holdout, "gates": gates}))
    config = load_config("big", folder)
    return config.holdout.batch_rows if config.holdout else 0


def _train(folder: Path, name: str, columns: int) -> Path:
    """A model folder, trained on 20,000 rows."""
    values = np.random.default_rng(2).normal(size=(20_000, columns))
    frame = pd.DataFrame(values, columns=[f"f{i}" for i in range(columns)])
    model = MODELS[name]().fit(frame, (values[:, 0] + values[:, 1] > 0).astype(np.int64))
    path = folder / name.replace(" ", "-")
    signature = mlflow.models.infer_signature(frame.head(), model.predict(frame.head()))
    mlflow.sklearn.save_model(model, path, signature=signature, serialization_format="cloudpickle")
    return path


def _round(folder: Path, model: Path, shape: list[str]) -> tuple[float, float, float, float]:
    """Seconds of the bare prediction, of the pass alone and with a champion; bytes above load."""
    again = [sys.executable, __file__, "--pass", str(folder), str(model)]
    alone, peak, python = _last_line(again)
    bare, loaded = _last_line([python, "-c", BARE, str(model), *shape])
    both, _, _ = _last_line([*again, str(model)])
    return bare, alone, both, peak - loaded


def _last_line(command: list[str]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _pass(folder: Path, model: Path, *, with_champion: bool) -> tuple[float, int, str]:
    """Seconds of the pass once the models are loaded, peak bytes of all processes, interpreter."""
    config = load_config("big", folder)
    digest = model_digest(model)
    measured = MeasuredModel("big", "1", "READY", model, digest, None, Claims("no run", {}), None)
    with (
        Collector(
            measured,
            measured if with_champion else None,
            config,
            home=Path(os.environ.get("RELEASE_HOME", ROOT / ".release")),
            serving_requirements=ROOT / "serving" / "requirements.in",
            fetch_artifact=lambda uri, folder: folder / uri,
        ) as collector,
        _Memory() as memory,
    ):
        problem = collector.collect(Load).problem
        started = time.perf_counter()
        scores = collector.collect(Scores)
        judge(scores, config.gates.champion)
        seconds = time.perf_counter() - started
        if problem or scores.problem or scores.champion_problem:
            raise SystemExit(problem or scores.problem or scores.champion_problem)
        return seconds, memory.peak, str(collector.python)


class _Memory:
    """Samples the resident set of this process and of all below it."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.02):
            self.peak = max(self.peak, _resident(Path("/proc/self")))


def _resident(process: Path) -> int:
    try:
        own = int((process / "statm").read_text().split()[1]) * 4096
        tasks = (process / "task").iterdir()
        below = [(task / "children").read_text().split() for task in tasks]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return own + sum(_resident(Path("/proc") / child) for part in below for child in part)


if __name__ == "__main__":
    sys.exit(main())
