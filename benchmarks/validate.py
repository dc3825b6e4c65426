"""How long `validate_model.py` takes on the example, beside what a bare process needs for it.

    python benchmarks/validate.py [--rounds 5]

Bare: one Python process that imports mlflow, loads the model, predicts the holdout and scores it.
Validated: `scripts/validate_model.py` as a user runs it, all twelve gates, with the dependency
cache and the model's environment warm; for a first version, and against a champion, which has a
process of its own. Whole processes, A B A B in one run, medians; both on an SQLite registry in a
temporary folder.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = "iris-classifier"
BARE = f"""
import mlflow
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score
model = mlflow.pyfunc.load_model("models:/{MODEL}/2")
holdout = pd.read_csv("models/holdouts/iris.csv")
predicted = model.predict(holdout.drop(columns="species"))
accuracy_score(holdout.species, predicted), f1_score(holdout.species, predicted, average="macro")
"""


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Wall time of a whole process that must succeed."""
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[1]}: exit code {done.returncode}\n{done.stderr}")
    return time.perf_counter() - begun


def crown(environment: dict[str, str]) -> None:
    """Make the first version champion."""
    command = (
        "import mlflow; mlflow.MlflowClient().set_registered_model_alias"
        f"('{MODEL}', 'champion', '1')"
    )
    seconds([sys.executable, "-c", command], environment)


def main() -> int:
    """Print one table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=5, help="how often each side is measured")
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MODEL", "RELEASE_"))},
            "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "RELEASE_HOME": home,
        }
        for _ in range(2):
            seconds([sys.executable, "examples/train_sklearn.py"], environment)
        print(f"| iris, {os.cpu_count()} CPUs, {rounds} pairs | bare | validate_model.py | ratio |")
        print("| --- | --- | --- | --- |")
        row("first version", rounds, environment)
        crown(environment)
        row("against a champion", rounds, environment)
    return 0


def row(title: str, rounds: int, environment: dict[str, str]) -> None:
    """Measure the pairs, after one of each that is not counted; print their medians."""
    bare = [sys.executable, "-c", BARE]
    validated = [sys.executable, "scripts/validate_model.py", "--model-name", MODEL]
    seconds(bare, environment)
    seconds(validated, environment)
    pairs = [(seconds(bare, environment), seconds(validated, environment)) for _ in range(rounds)]
    plain, ours = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"| {title} | {plain:.2f} s | {ours:.2f} s | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
