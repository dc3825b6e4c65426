"""What was claimed of a model version: the metrics that were logged for it, and for no other."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

LOGGED_MODEL = re.compile(r"models:/(m-[0-9a-f]+)")
COPIED = re.compile(r"models:/([^/]+)/(\d+)")
HISTORY = "mlflow.log-model.history"
"""Where MLflow 2 writes on a run which models it logged, a JSON list."""


@dataclass(frozen=True)
class Claimed:
    """Metrics by name, and `by` whom they were logged or why there are none."""

    metrics: Mapping[str, float]
    by: str


def latest(metrics: "Iterable[Metric]") -> "dict[str, Metric]":
    """The last entry of each metric, by step and then by time, as MLflow tells it of a run."""
    return {each.key: each for each in sorted(metrics, key=lambda one: (one.step, one.timestamp))}


def claimed(own: Mapping[str, float], run: "Run | None", model_id: str, source: str) -> Claimed:
    """A version's claims: what was logged for its model, and its run's if that logged it alone.

    A run's metrics are those of the model that it logged last.

    Args:
        own: the metrics of the version's logged model.
        run: the run that logged the model, where there is one.
        model_id: the id of the version's logged model; empty for a model of MLflow 2.
        source: where the version's files are.
    """
    if run is None:
        return Claimed(own, f"model {model_id}" if model_id else "no run")
    name = f"run {run.info.run_id}"
    if _alone(run, model_id, source):
        return Claimed({**own, **run.data.metrics}, name)
    if own:
        return Claimed(own, f"model {model_id}")
    return Claimed({}, f"{name} did not log this model alone, and nothing is logged for the model")


def _alone(run: "Run", model_id: str, source: str) -> bool:
    outputs = {each.model_id for each in run.outputs.model_outputs} if run.outputs else set()
    if model_id:
        return outputs == {model_id}
    try:
        logged = json.loads(run.data.tags.get(HISTORY, "[]"))
        places = {str(each["artifact_path"]) for each in logged}
    except (ValueError, TypeError, KeyError, RecursionError):  # a tag that anybody may write
        return False
    return not outputs and len(places) < 2 and f"/{run.info.run_id}/" in source
