"""Comparisons as they are run: scripts against a registry, one of which goes on to promotion."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from model_release import ROOT
from tests.integration.script_runner import MODEL, ScriptRunner, make_script_runner

pytestmark = pytest.mark.long

COMPARE = "scripts/compare_champion.py"
WORSE = ("--n-estimators", "1", "--max-depth", "1")


@pytest.fixture
def runner(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptRunner]:
    """A runner whose limits let through all that is not worse than the champion."""
    made = make_script_runner(tmp_path, tmp_path_factory.getbasetemp().parent / "shared")
    models = tmp_path / "models"
    models.mkdir()
    config = (ROOT / f"models/{MODEL}.yaml").read_text(encoding="utf-8")
    (models / f"{MODEL}.yaml").write_text(re.sub(r"min: 0\.\d+", "min: 0.1", config))
    made.environment["MODELS_DIR"] = str(models)
    yield made
    made.run("scripts/release_status.py", "--stop")


def compared(runner: ScriptRunner, version: str, *more: str, code: int = 0) -> dict[str, Any]:
    named = ("--model-version", version, "--format", "json", *more)
    out, _ = runner.run(COMPARE, *named, code=code)
    found: dict[str, Any] = json.loads(out)
    return found


def test_the_better_challenger_is_promoted_and_the_worse_one_is_not(runner: ScriptRunner) -> None:
    runner.train()
    runner.train("--n-estimators", "200")
    runner.train(*WORSE)
    runner.release("--model-version", "1")
    assert runner.kill_at("▶ promote", "scripts/run_release.py", "--model-version", "2")

    told = compared(runner, "2")
    assert (told["champion"], told["challenger"], told["decision"]) == ("1", "2", "passed")
    assert told["confidence"] == 0.95
    accuracy = told["metrics"]["accuracy"]
    assert min(accuracy["champion"], accuracy["challenger"]) >= 0.9
    assert accuracy["worse_by"] <= accuracy["at_most"] <= accuracy["allowed"] == 0.1
    assert runner.champion() == "1", "nothing is written"

    worse = compared(runner, "3", "--promote", code=1)
    assert worse["decision"] == "failed"
    assert worse["metrics"]["accuracy"]["at_most"] > 0.1
    assert runner.champion() == "1"

    promoted = compared(runner, "2", "--promote")
    assert "rollback_model.py" in promoted["rollback"]
    assert {key: promoted[key] for key in told} == told
    assert runner.champion() == "2"
    out, _ = runner.run("scripts/release_history.py", "--format", "json")
    entries = json.loads(out)["entries"]
    assert [(each["how"], each["version"]) for each in entries] == [
        ("promotion", "1"),
        ("promotion", "2"),
    ]
    assert entries[1]["release"] == promoted["promoted"]


def test_the_best_run_is_registered(runner: ScriptRunner) -> None:
    runner.train(*WORSE)
    runner.train()
    script = "scripts/compare_runs.py"
    question = ("--experiment", "iris", "--metric", "accuracy", "--register", "winner")
    out, _ = runner.run(script, *question, "--format", "json")
    told = json.loads(out)
    assert told["registered"] == "1"
    uri = runner.environment["MLFLOW_TRACKING_URI"]
    client = mlflow.MlflowClient(uri, registry_uri=uri)
    assert client.get_model_version("winner", "1").run_id == told["best"]
    assert client.get_model_version(MODEL, "2").run_id == told["best"], "the second is better"
    out, _ = runner.run(script, *question, "--format", "markdown")
    assert re.search(r"\| metric accuracy \| 0\.9\d+ \| 0\.[0-8]\d* \|", out)
    assert "registered: winner 1" in out, "again it is the same version"
