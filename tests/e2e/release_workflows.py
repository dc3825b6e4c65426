"""The release and rollback workflows, and what they leave in a registry and a cluster."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from model_release.targets.kubernetes.manifests import namespace
from tests.e2e.probe_in_staging import kubectl
from tests.e2e.workflow_runner import WorkflowRun, WorkflowRunner
from tests.github import Recorded

MODEL = "act-iris"


@dataclass(frozen=True)
class ReleaseWorkflows:
    """A registry with three versions of a model, a repository on GitHub, a cluster."""

    runner: WorkflowRunner
    github: Recorded
    uri: str
    k8s: Path
    foreign_key: str

    def aliases(self) -> dict[str, str]:
        """Alias → version, as the registry has them."""
        answer = self._ask("GET", "registered-models/get", name=MODEL)["registered_model"]
        return {each["alias"]: str(each["version"]) for each in answer.get("aliases", ())}

    def set_alias(self, alias: str, version: str) -> None:
        """Move an alias by hand."""
        self._ask("POST", "registered-models/alias", name=MODEL, alias=alias, version=version)

    def releases(self) -> list[dict[str, Any]]:
        """The `info` of every release's run, the oldest first."""
        name = f"releases/{MODEL}"
        found = self._ask("GET", "experiments/get-by-name", experiment_name=name)["experiment"]
        order = ["attributes.start_time ASC"]
        experiments = [found["experiment_id"]]
        runs = self._ask("POST", "runs/search", experiment_ids=experiments, order_by=order)["runs"]
        return [run["info"] for run in runs]

    def deployed(self, environment: str) -> list[dict[str, str]]:
        """Annotations of the Deployments there: what they serve, and of which revision they are."""
        where = namespace(self.k8s, environment)
        found = json.loads(kubectl("get", "deployments", f"--namespace={where}", "--output=json"))
        return [each["metadata"]["annotations"] for each in found["items"]]

    def serves(self, environment: str) -> str:
        """The version whose Deployment is there; "" if none is."""
        return ",".join(each["model-release/version"] for each in self.deployed(environment))

    def release(self, version: str, **options: Any) -> WorkflowRun:
        """Dispatch a release and wait for its end."""
        return self.runner.dispatch(
            "model-deploy", model_name=MODEL, model_version=version, **options
        )

    def roll_back(self, reason: str) -> WorkflowRun:
        """Dispatch a rollback to the champion before and wait for its end."""
        given = {"model_name": MODEL, "model_version": "", "reason": reason}
        return self.runner.dispatch("model-rollback", **given)

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        place = f"{self.uri}/api/2.0/mlflow/{path}"
        query, body = (content, None) if method == "GET" else (None, content)
        answer = requests.request(method, place, params=query, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()
