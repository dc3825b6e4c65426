"""Evidence collected from real models, in an environment made from their real lock."""

import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from model_release.config import ModelConfig, load_config
from model_release.digest import file_sha256, model_digest
from model_release.errors import UsageError
from model_release.gates.evidence import (
    Claims,
    Column,
    Environment,
    Files,
    Golden,
    Load,
    Rows,
    Scores,
    Serialization,
    Signatures,
    Slice,
    Timing,
)
from model_release.measurement.collector import Collector
from model_release.measurement.subject import MeasuredModel
from model_release.model_process import client
from model_release.processes.confinement import Policy
from tests.bad_models.models import PINNED

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
ROWS = 250
BATCH = 100

MLMODEL = {
    "flavors": {"python_function": {"loader_module": "model", "code": "code"}},
    "model_uuid": "0" * 32,
    "saved_input_example_info": {
        "artifact_path": "input_example.json",
        "pandas_orient": "split",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
    },
    "signature": {
        "inputs": json.dumps([{"name": "x", "type": "double"}]),
        "outputs": json.dumps(
            [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
        ),
        "params": None,
    },
}

CODE = """
import os
import numpy as np

def note(text):
    with open({log!r}, "a") as log:
        log.write(text + chr(10))

class Model:
    def predict(self, data, params=None):
        x = data["x"].to_numpy()
        note(" ".join(str(int(value)) for value in x))
        {predict}

def _load_pyfunc(path):
    note("loaded")
    return Model()
"""

EVEN = "return (x % 2 == 0).astype('int64')"

Make = Callable[..., MeasuredModel]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that these models may write to, confined as they are otherwise."""
    folder = tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setattr(client, "Policy", partial(Policy, writes=[str(folder)]))
    return folder


@pytest.fixture
def make(tmp_path: Path, notes: Path) -> Make:
    """Makes a model that answers by the Python line `predict`; it notes every row it is asked."""

    def make(predict: str = EVEN, version: str = "2", python: str = f"{HERE}.1") -> MeasuredModel:
        folder = tmp_path / f"model-{version}"
        (folder / "code").mkdir(parents=True)
        code = CODE.format(log=str(notes / f"log-{version}"), predict=predict)
        (folder / "code" / "model.py").write_text(code)
        (folder / "MLmodel").write_text(yaml.safe_dump(MLMODEL))
        (folder / "requirements.txt").write_text("\n".join(PINNED))
        (folder / "python_env.yaml").write_text(f"python: {python}\n")
        split = {"columns": ["x"], "data": [[1.0], [2.0]]}
        (folder / "input_example.json").write_text(json.dumps(split))
        request = json.dumps({"dataframe_split": split})
        (folder / "serving_input_example.json").write_text(request)
        digest = model_digest(folder)
        claims = Claims("run", {"accuracy": 0.5})
        return MeasuredModel("even", version, "READY", folder, digest, None, claims, None)

    return make


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., ModelConfig]:
    """Makes a configuration whose holdout says of the numbers 0, 1, … whether they are even."""

    def config(**gates: Any) -> ModelConfig:
        x = np.arange(ROWS)
        region = np.where(x < 200, "north", None)
        table = pa.table({"x": x.astype(float), "region": pa.array(region), "y": (x + 1) % 2})
        pq.write_table(table, tmp_path / "holdout.parquet")
        settings = {
            "measured_metrics": {"thresholds": {"f1": {"min": 0.5}}},
            "claimed_metrics": {"thresholds": {"accuracy": {"min": 0.5}, "own": {"min": 0}}},
            "champion": {"max_regression": {"balanced_accuracy": 0.1}},
            "slices": {"columns": ["region"], "thresholds": {"accuracy": {"min": 0.5}}},
            "latency": {"requests": 6, "batch_rows": 32},
            "row_independence": {"rows": 5},
            "golden": {"rows": 3},
        }
        holdout = {
            "uri": "holdout.parquet",
            "sha256": file_sha256(tmp_path / "holdout.parquet"),
            "target": "y",
            "task": "classification",
            "drop": ["region"],
            "batch_rows": BATCH,
        }
        text = yaml.safe_dump({"holdout": holdout, "gates": {**settings, **gates}})
        (tmp_path / "even.yaml").write_text(text)
        return load_config("even", tmp_path)

    return config


@pytest.fixture
def collect(home: Path, tmp_path: Path) -> Callable[..., Collector]:
    def collect(
        config: ModelConfig, challenger: MeasuredModel, champion: MeasuredModel | None = None
    ) -> Collector:
        server = tmp_path / "requirements.in"
        server.touch()
        return Collector(
            challenger,
            champion,
            config,
            home=home,
            serving_requirements=server,
            fetch_artifact=lambda uri, folder: folder / uri,
            root=tmp_path,
            answer_seconds=20,
        )

    return collect


def test_everything_about_a_good_model_and_a_worse_champion(
    make: Make, config: Any, collect: Any, notes: Path
) -> None:
    champion = make("return np.ones(len(x), dtype='int64')", "1")
    with collect(config(), make(), champion) as collector:
        assert collector.collect(Files).count == 6
        environment = collector.collect(Environment)
        assert (environment.problem, environment.packages > 20) == ("", True)
        (loader, folder, code) = collector.collect(Serialization).files
        assert (loader.imports, folder.imports) == (("model",), ("code",))
        assert (code.format, code.imports) == ("python", ("numpy", "os"))
        assert not (notes / "log-2").exists(), "loaded before it was allowed"
        load = collector.collect(Load)
        assert (load.problem, load.seconds < 60, load.memory_bytes > 5e7) == ("", True, True)
        both = collector.collect(Signatures)
        assert both.challenger.inputs == (Column("x", "double"),)
        assert both.challenger.outputs == (Column("0", "tensor(int64, [-1])"),)
        assert both.champion is not None
        assert collector.collect(Claims) == Claims("run", {"accuracy": 0.5})
        scores = collector.collect(Scores)
        timing, rows = collector.collect(Timing), collector.collect(Rows)
        golden = collector.collect(Golden)
        assert collector.environment_lock.read_text().count("--hash") > 20
        assert collector.python.exists()
    assert (scores.rows, scores.problem, scores.champion_problem) == (ROWS, "", "")
    assert scores.measured == {"f1": 1.0, "balanced_accuracy": 1.0, "accuracy": 1.0}
    assert scores.claimed == {"accuracy": 0.5}
    assert scores.champion_version == "1"
    assert scores.champion_measured["accuracy"] == 0.5
    assert scores.sample is not None
    assert scores.sample.champion.tolist() == [1] * ROWS
    assert scores.slices == (
        Slice("region", "(missing)", 50, {"accuracy": 1.0}),
        Slice("region", "north", 200, {"accuracy": 1.0}),
    )
    assert (len(timing.single_ms), timing.batch_rows, timing.problem) == (6, 32, "")
    assert all(0 < value < 20_000 for value in (*timing.single_ms, *timing.batch_ms))
    assert rows == Rows((0.0,) * 5)
    split = {"columns": ["x"], "data": [[0.0], [39.0], [99.0]]}
    assert golden.cases[0]["predictions"] == [0, 1]
    assert golden.cases[1] == {
        "name": "holdout",
        "request": {"dataframe_split": split},
        "predictions": [1, 0, 0],
    }


def test_no_row_of_the_holdout_is_predicted_twice(
    make: Make, config: Any, collect: Any, notes: Path
) -> None:
    with collect(config(), make(), make(version="1")) as collector:
        collector.collect(Scores)
        collector.collect(Scores)
    for version in ("1", "2"):
        loaded, *asked = (notes / f"log-{version}").read_text().splitlines()
        assert loaded == "loaded"
        assert [len(line.split()) for line in asked] == [BATCH, BATCH, ROWS - 2 * BATCH]
        assert [int(row) for line in asked for row in line.split()] == list(range(ROWS))


@pytest.mark.parametrize(
    ("predict", "problem"),
    [
        ("return x if x[0] < 200 else np.zeros((len(x), 2))", "answered in different shapes"),
        ("return np.full(len(x), np.nan)", ""),
        ("return [{'a': 'b', 'c': 1}] * len(x)", "answers that cannot be scored"),
    ],
)
def test_a_model_that_answers_wrongly_is_a_problem(
    make: Make, config: Any, collect: Any, predict: str, problem: str
) -> None:
    with collect(config(), make(predict)) as collector:
        scores = collector.collect(Scores)
    if problem:
        assert problem in scores.problem
        assert scores.measured == {}
    else:
        assert all(math.isnan(value) for value in scores.measured.values())
        assert len(scores.measured) == 3


def test_a_champion_that_fails_is_told_and_does_not_stop_the_challenger(
    make: Make, config: Any, collect: Any
) -> None:
    champion = make("os._exit(7) if x[0] >= 100 else None; return x", "1")
    with collect(config(), make(), champion) as collector:
        scores = collector.collect(Scores)
    assert scores.measured["accuracy"] == 1.0
    assert (scores.champion_version, scores.sample, scores.problem) == ("1", None, "")
    assert scores.champion_problem.startswith("even 1 died; found exit status 7")


def test_answers_that_depend_on_the_batch_are_found(make: Make, config: Any, collect: Any) -> None:
    with collect(config(), make("return x - x.mean()")) as collector:
        rows = collector.collect(Rows)
    assert len(rows.differences) == 5
    assert all(difference > 0 for difference in rows.differences)


def test_without_a_holdout_the_input_example_is_asked(
    make: Make, collect: Any, tmp_path: Path
) -> None:
    skip = {"skip": "no data"}
    gates = dict.fromkeys(("claimed_metrics", "measured_metrics", "champion", "slices"), skip)
    (tmp_path / "even.yaml").write_text(yaml.safe_dump({"gates": gates}))
    with collect(load_config("even", tmp_path), make()) as collector:
        assert collector.collect(Scores).problem != ""
        assert len(collector.collect(Timing).single_ms) == 100
        assert collector.collect(Rows).differences == (0.0, 0.0)
        assert [case["name"] for case in collector.collect(Golden).cases] == ["input example"]


def test_another_python_is_left_to_the_gate_and_nothing_is_loaded(
    make: Make, config: Any, collect: Any
) -> None:
    with collect(config(), make(python="3.99.1")) as collector:
        assert collector.collect(Environment) == Environment("3.99.1", HERE)
        assert collector.collect(Load).problem == "there is no environment to load it in"
        assert collector.collect(Scores).problem == "there is no environment to load it in"


def test_a_slice_column_of_too_many_values_is_refused(
    make: Make, config: Any, collect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_release.measurement.scoring.MAX_SLICES", 1)
    with collect(config(), make()) as collector, pytest.raises(UsageError) as caught:
        collector.collect(Scores)
    assert str(caught.value).startswith("slice column 'region' of the holdout; expected at most 1")


def test_a_slow_load_is_ended(make: Make, config: Any, collect: Any) -> None:
    slow = make()
    code = slow.path / "code" / "model.py"
    code.write_text(f"import time\n{code.read_text()}\ntime.sleep(60)\n")
    with collect(config(loadable={"max_seconds": 1}), slow) as collector:
        problem = collector.collect(Load).problem
    assert problem.startswith("even 2 did not answer in time and was ended")


def test_evidence_that_nothing_collects_is_named(make: Make, config: Any, collect: Any) -> None:
    with collect(config(), make()) as collector, pytest.raises(UsageError, match="evidence dict"):
        collector.collect(dict)
