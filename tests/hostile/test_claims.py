"""Metrics that were logged for another model are no claim of this one."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric

from model_release.gates.claimed_metrics import Limits, judge
from model_release.gates.evidence import Claims
from model_release.registry import Registry
from model_release.registry.claims import HISTORY, Claimed
from tests.integration.conftest import MLFLOW_WARNS

pytestmark = [pytest.mark.filterwarnings(each) for each in MLFLOW_WARNS]

GOOD, BAD = {"accuracy": 0.99}, {"accuracy": 0.5}
LIMITS = Limits.model_validate({"thresholds": {"accuracy": {"min": 0.9}}})


class Training:
    """A registry and those who train: runs, the models that they log, versions."""

    def __init__(self, folder: Path) -> None:
        self.registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
        self.client = MlflowClient(self.registry.uri)
        self.experiment = self.registry.create_experiment("training", {})

    def run(self, metrics: Mapping[str, float] = {}) -> str:
        run: str = self.client.create_run(self.experiment).info.run_id
        for name, value in metrics.items():
            self.client.log_metric(run, name, value)
        return run

    def model(self, run: str | None, metrics: Mapping[str, float] = {}) -> str:
        """A logged model, as `log_model` and `log_metrics(…, model_id=)` make one."""
        model = self.client.create_logged_model(self.experiment, "ckpt", run).model_id
        if run:
            self.client.log_outputs(run, [LoggedModelOutput(model, step=0)])
        now = int(time.time() * 1000)
        values = [Metric(key, value, now, 0, model_id=model) for key, value in metrics.items()]
        if values:
            self.client.log_batch(run or self.run(), metrics=values)
        return str(model)

    def claims(self, source: str, run: str | None = None) -> Claimed:
        """What is claimed of a version that is registered from `source`."""
        name = f"model-{time.time_ns()}"
        self.client.create_registered_model(name)
        self.client.create_model_version(name, source, run)
        return self.registry.claims(self.registry.version(name))


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    yield Training(tmp_path_factory.mktemp("training"))
    patch.undo()


def found_by_the_gate(claims: Claimed) -> str:
    """What the gate says no with; fails where it says yes."""
    outcome = judge(Claims(claims.by, claims.metrics), LIMITS)
    assert outcome.status == "failed"
    return outcome.found


@pytest.mark.parametrize("metrics", [(BAD, GOOD), (GOOD, BAD)], ids=["bad first", "bad last"])
def test_of_two_models_of_a_run_each_has_its_own(
    training: Training, metrics: tuple[Mapping[str, float], Mapping[str, float]]
) -> None:
    run = training.run()
    models = [training.model(run, each) for each in metrics]
    for model, own in zip(models, metrics, strict=True):
        assert training.claims(f"models:/{model}", run) == Claimed(own, f"model {model}")
    bad = models[metrics.index(BAD)]
    found = found_by_the_gate(training.claims(f"models:/{bad}", run))
    assert found == f"accuracy 0.5 is not >= 0.9 (model {bad})"


def test_a_run_of_two_models_claims_nothing_of_one(training: Training) -> None:
    run = training.run(GOOD)
    model, other = training.model(run), training.model(run, BAD)
    by = f"run {run} did not log this model alone, and nothing is logged for the model"
    assert training.claims(f"models:/{model}", run) == Claimed({}, by)
    assert found_by_the_gate(Claimed({}, by)) == f"no accuracy ({by})"
    training.client.delete_logged_model(other)
    assert training.claims(f"models:/{model}", run) == Claimed({}, by)


def test_a_run_of_one_model_claims_for_it(training: Training) -> None:
    run = training.run(GOOD)
    model = training.model(run, {"f1": 0.7})
    claims = training.claims(f"models:/{model}", run)
    assert claims == Claimed({**GOOD, "f1": 0.7}, f"run {run}")


def test_a_model_without_a_run_has_its_own(training: Training) -> None:
    model = training.model(None, GOOD)
    assert training.claims(f"models:/{model}") == Claimed(GOOD, f"model {model}")
    assert training.claims("file:///somewhere") == Claimed({}, "no run")


def test_the_run_that_a_version_names_is_not_believed(training: Training) -> None:
    good, run = training.run(GOOD), training.run(BAD)
    model = training.model(run)
    assert training.claims(f"models:/{model}", good) == Claimed(BAD, f"run {run}")
    assert training.claims("file:///somewhere", good).metrics == {}


def test_a_copied_version_claims_what_it_is_a_copy_of(training: Training) -> None:
    run = training.run()
    models = [training.model(run, each) for each in (BAD, GOOD)]
    training.client.create_registered_model("original")
    training.client.create_model_version("original", f"models:/{models[0]}", run)
    training.client.copy_model_version("models:/original/1", "copy")
    claims = training.registry.claims(training.registry.version("copy"))
    assert claims == Claimed(BAD, f"model {models[0]}")


@pytest.mark.parametrize(
    ("history", "claims"),
    [
        ([], GOOD),
        (["model"], GOOD),
        (["model", "model"], GOOD),
        (["model", "other"], {}),
    ],
)
def test_a_run_of_mlflow_2_claims_for_the_one_model_that_it_logged(
    training: Training, history: list[str], claims: Mapping[str, float]
) -> None:
    run = training.run(GOOD)
    if history:
        text = json.dumps([{"artifact_path": each} for each in history])
        training.client.set_tag(run, HISTORY, text)
    source = f"mlflow-artifacts:/1/{run}/artifacts/model"
    assert training.claims(source, run).metrics == claims


@pytest.mark.parametrize("history", ["[", "7", "[7]", "[{}]", "[" * 5000])
def test_a_history_that_is_none_claims_nothing(training: Training, history: str) -> None:
    run = training.run(GOOD)
    training.client.set_tag(run, HISTORY, history)
    assert training.claims(f"mlflow-artifacts:/1/{run}/artifacts/model", run).metrics == {}


def test_nan_is_claimed_as_nan(training: Training) -> None:
    run = training.run()
    training.model(run, GOOD)
    claims = training.claims(f"models:/{training.model(run, {'loss': math.nan, 'zero': 0.0})}")
    assert math.isnan(claims.metrics["loss"])
    assert claims.metrics["zero"] == 0.0
