"""How long `validate_model.py` takes on the example, beside what a bare process needs for it.

    python benchmarks/validate.py [--rounds 5]

Bare: one Python process that imports mlflow, loads the model, predicts the holdout and scores it.
Validated: `scripts/validate_model.py` as a user runs it, all twelve gates, against a champion, with
the dependency cache and the model's environment warm. Whole processes, A B A B in one run, medians;
both on an SQLite registry in a temporary folder.
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


def prepare(environment: dict[str, str]) -> None:
    """Two versions in a registry, the first of them champion, the environment installed."""
    for _ in range(2):
        seconds([sys.executable, "examples/train_sklearn.py"], environment)
    crown = (
        "import mlflow; mlflow.MlflowClient().set_registered_model_alias"
        f"('{MODEL}', 'champion', '1')"
    )
    seconds([sys.executable, "-c", crown], environment)


def main() -> int:
    """Print one table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MODEL", "RELEASE_"))},
            "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "RELEASE_HOME": home,
        }
        prepare(environment)
        bare = [sys.executable, "-c", BARE]
        validated = [sys.executable, "scripts/validate_model.py", "--model-name", MODEL]
        seconds(bare, environment)
        seconds(validated, environment)
        pairs = [
            (seconds(bare, environment), seconds(validated, environment)) for _ in range(rounds)
        ]
    plain, ours = ([pair[side] for pair in pairs] for side in (0, 1))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"| measure ({rounds} pairs, medians) | bare | validate_model.py | ratio |")
    print("| --- | --- | --- | --- |")
    row = (statistics.median(plain), statistics.median(ours), ratio)
    print(f"| iris, {os.cpu_count()} CPUs | {row[0]:.2f} s | {row[1]:.2f} s | {row[2]:.2f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
