"""The workflows as they are dispatched: from the registry to champion, refused, rolled back."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from model_release import ROOT
from tests.e2e.release_workflows import MODEL, ReleaseWorkflows
from tests.e2e.workflow_runner import WorkflowRun, WorkflowRunner
from tests.github import approval, serve
from tests.integration.ledger.servers import mlflow_server

pytestmark = pytest.mark.long

PASSWORD = "of the key"
TRAINED = (
    ("--n-estimators", "20"),
    ("--n-estimators", "40"),
    ("--n-estimators", "1", "--max-depth", "1"),  # knows two of three kinds
)
JOBS = ["validate", "build", "deploy-staging", "deploy-production"]
NO_IMAGE = "127.0.0.1:1/none:1"
Options = Callable[[ReleaseWorkflows], dict[str, Any]]
UNREVIEWED = "404"
"""A run of the workflow that nobody approved."""
CONFIG = """
kubernetes:
  replicas: {staging: {min: 1, max: 1}, production: {min: 1, max: 2}}
  resources: {requests: {cpu: 50m, memory: 128Mi}, limits: {cpu: "1", memory: 1Gi}}
  canary: {share: 0.5, duration_seconds: 4, min_requests: 20, load_per_second: 20, bake_seconds: 2,
           max_latency_ratio: 50, max_error_rate_increase: 0.2} # as far as 20 requests can tell
"""


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server with three versions of the example: two good ones, one that is not."""
    folder = tmp_path_factory.mktemp("mlflow")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
    store, train = f"sqlite:///{folder}/mlflow.db", str(ROOT / "examples/train_sklearn.py")
    with mlflow_server(store, folder, str(folder / "artifacts")) as address:
        for options in TRAINED:
            subprocess.run(
                [sys.executable, train, "--model-name", MODEL, *options],
                env={**environment, "MLFLOW_TRACKING_URI": address},
                check=True,
                capture_output=True,
                timeout=300,
            )
        yield address


@pytest.fixture(scope="module")
def workflows(
    uri: str, k8s: Path, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReleaseWorkflows]:
    registry, base = os.environ.get("IMAGE_REGISTRY"), os.environ.get("BASE_IMAGE")
    if not registry or not base or not shutil.which("act"):
        pytest.skip("no workflows: IMAGE_REGISTRY or BASE_IMAGE is unset, or act not on PATH")
    config = (ROOT / "models/iris-classifier.yaml").read_text(encoding="utf-8")
    config = re.sub(r"(latency: \{)[^}]*", r"\1batch_rows: 30, requests: 30", config)
    settings = {
        "MLFLOW_TRACKING_URI": uri,
        "IMAGE_REGISTRY": f"{registry}/workflows",
        "BASE_IMAGE": base,
    }
    folder = tmp_path_factory.mktemp("act") / "act"
    keys = {name: _key(folder.parent, name) for name in ("ours", "others")}
    settings |= {"COSIGN_KEY": f"{keys['ours']}.key", "COSIGN_PUBLIC_KEY": f"{keys['ours']}.pub"}
    secrets = {
        "KUBECONFIG": kubeconfig.read_text(encoding="utf-8"),
        "COSIGN_PASSWORD": PASSWORD,
    }
    with serve() as github:
        github.protect()
        github.reviewed("ada", approval("octocat"))
        github.reviewed("ada", run=UNREVIEWED)
        models = {f"{MODEL}.yaml": config + CONFIG}
        runner = WorkflowRunner(folder, k8s, models, settings, secrets, github.api)
        yield ReleaseWorkflows(runner, github, uri, k8s, f"{keys['others']}.pub")


def _key(folder: Path, name: str) -> Path:
    command = ["cosign", "generate-key-pair", "--output-key-prefix", name]
    environment = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder / name


@pytest.mark.parametrize(
    ("inputs", "refused"),
    [
        ({"model_name": 'x"; touch pwned; "', "model_version": "1"}, "model name"),
        ({"model_name": "$(id)", "model_version": "1"}, "model name '$(id)'"),
        ({"model_name": MODEL, "model_version": "1; id"}, "model version '1; id'"),
        ({"model_name": MODEL, "model_version": "1", "up_to": "$(id)"}, "--up-to '$(id)'"),
    ],
)
def test_hostile_inputs_are_refused_by_name(
    workflows: ReleaseWorkflows, inputs: dict[str, str], refused: str
) -> None:
    done = workflows.runner.dispatch(
        "model-deploy", install="$(id)" in inputs["model_name"], **inputs
    )
    assert done.refused_at() == "validate"
    assert list(done.jobs) == ["validate"]
    assert refused in done.log
    assert "uid=0" not in done.log
    assert not list(workflows.runner.folder.rglob("pwned"))
    assert workflows.github.asked == [], "nothing was asked of anybody"


def test_an_unprotected_production_is_refused_before_anything_else(
    workflows: ReleaseWorkflows,
) -> None:
    workflows.github.protect(protection_rules=[])
    try:
        done = workflows.release("1")
    finally:
        workflows.github.protect()
    assert done.refused_at() == "validate"
    assert "required reviewers: none" in done.log
    assert workflows.aliases() == {}


@pytest.fixture(scope="module")
def first(workflows: ReleaseWorkflows) -> WorkflowRun:
    """Version 1 released, so that there is a production that can be as it was."""
    return workflows.release("1")


@pytest.fixture(scope="module")
def three(workflows: ReleaseWorkflows, first: WorkflowRun) -> list[WorkflowRun]:
    """Three dispatches at once: a version that is refused, a good one, the refused one again."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(workflows.release, ["3", "2", "3"]))


def test_good_release_to_champion(workflows: ReleaseWorkflows, first: WorkflowRun) -> None:
    assert first.succeeded, first.log
    assert list(first.jobs) == JOBS
    assert workflows.aliases() == {"champion": "1", "staging": "1"}
    assert workflows.serves("production") == workflows.serves("staging") == "1"
    assert "| by | octocat |" in first.log, "who approved stands in the job summary"
    assert "flowchart LR" in first.log, "the page stands in the job summary"


@pytest.mark.parametrize(
    ("job", "version", "options", "said"),
    [
        ("validate", "3", lambda _: {}, "gate claimed_metrics failed; next:"),
        (
            *("build", "2", lambda _: {"variables": {"BASE_IMAGE": NO_IMAGE}}),
            f"error: base image {NO_IMAGE}; expected",
        ),
        (
            *("deploy-staging", "2"),
            lambda workflows: {"variables": {"COSIGN_PUBLIC_KEY": workflows.foreign_key}},
            "; expected a signature for release",
        ),
        ("deploy-production", "2", lambda _: {"run": UNREVIEWED}, "; found nobody approved"),
    ],
    ids=JOBS,
)
def test_refused_at_each_station_and_production_is_as_it_was(
    workflows: ReleaseWorkflows,
    first: WorkflowRun,
    job: str,
    version: str,
    options: Options,
    said: str,
) -> None:
    before = workflows.deployed("production")
    done = workflows.release(version, **options(workflows))
    assert (done.refused_at(), list(done.jobs)) == (job, JOBS[: JOBS.index(job) + 1]), done.log
    assert said in done.log
    assert workflows.aliases()["champion"] == workflows.serves("production") == "1"
    assert workflows.deployed("production") == before


def test_three_dispatches_at_once_run_one_after_another(
    workflows: ReleaseWorkflows, three: list[WorkflowRun]
) -> None:
    """None is dropped: two that are refused, and one that becomes champion."""
    worse, better, again = three
    assert (worse.refused_at(), again.refused_at()) == ("validate", "validate")
    assert better.succeeded, better.log
    assert workflows.aliases() == {"champion": "2", "previous-champion": "1", "staging": "2"}
    assert workflows.serves("production") == "2"
    runs = workflows.releases()[-3:]
    assert sorted(run["status"] for run in runs) == ["FAILED", "FAILED", "FINISHED"]
    assert all(earlier["end_time"] <= later["start_time"] for earlier, later in pairwise(runs))


def test_a_rollback_needs_a_reason(workflows: ReleaseWorkflows, three: list[WorkflowRun]) -> None:
    before = workflows.deployed("production"), workflows.aliases()
    done = workflows.roll_back(" ")
    assert done.refused_at() == "rollback"
    assert "error: reason; expected words" in done.log
    assert (workflows.deployed("production"), workflows.aliases()) == before


def test_a_rollback_puts_deployment_and_alias_back_together(
    workflows: ReleaseWorkflows, three: list[WorkflowRun]
) -> None:
    done = workflows.roll_back("answers wrong")
    assert done.succeeded, done.log
    assert workflows.aliases() == {"champion": "1", "previous-champion": "2", "staging": "2"}
    assert workflows.serves("production") == "1"
    assert "| reason | answers wrong |" in done.log


def test_the_audit_finds_an_alias_moved_by_hand_and_keeps_one_issue(
    workflows: ReleaseWorkflows, first: WorkflowRun
) -> None:
    champion = workflows.aliases()["champion"]
    for version in sorted({"1", "2", "3"} - {champion}):
        workflows.set_alias("champion", version)
        found = workflows.runner.dispatch("release-audit", event="schedule")
        assert found.refused_at() == "audit", found.log
        (issue,) = workflows.github.issues
        row = f"| alias-moved | champion at version {champion} | at version {version} |"
        assert (issue["state"], issue["body"].count(row)) == ("open", 1), issue
    workflows.set_alias("champion", champion)
    mended = workflows.runner.dispatch("release-audit")
    assert mended.succeeded, mended.log
    (issue,) = workflows.github.issues
    assert issue["state"] == "closed"
    assert issue["comments"] == [
        "1 difference now; the table above is up to date.",
        "Nothing differs any more.",
    ]
