"""A week of releases on a real cluster: the local target's, and what only a cluster has."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from model_release import ROOT, releases
from model_release.identity import slug
from model_release.report.progress import Progress
from model_release.targets.kubernetes import manifests
from model_release.targets.kubernetes.target import KubernetesTarget
from model_release.workspace import Workspace
from tests.e2e.probe_in_staging import ENVIRONMENTS, kubectl
from tests.integration.script_runner import MODEL, make_script_runner
from tests.week_of_releases import (
    Moments,
    Week,
    check_what_else_an_audit_finds,
    mlflow_on_postgres_and_s3,
    release_for_a_week,
)

pytestmark = pytest.mark.long

NAME = slug(MODEL)
CONFIG = """
kubernetes:
  replicas: {staging: {min: 1, max: 1}, production: {min: 1, max: 1}}
  resources: {requests: {cpu: 100m, memory: 256Mi}, limits: {cpu: "1", memory: 1Gi}}
  # Wide limits and a short time: what a canary finds out is tested elsewhere.
  canary: {share: 0.5, duration_seconds: 6, min_requests: 60, load_per_second: 30, bake_seconds: 2,
           max_error_rate_increase: 0.2, max_latency_ratio: 50}
"""
MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
DRAIN = "- name: SERVING_DRAIN_LISTEN_SECONDS"
EDITS = {
    "s|memory: 1Gi|memory: 900Mi|": ["deployment-changed"],
    rf's|^\( *\){DRAIN}|\1- name: ADDED\n\1  value: "by hand"\n&|': ["deployment-changed"],
    f"s|image: .*{NAME}@sha256:.*|image: {{other}}|": ["deployment-changed", "pods-differ"],
}
"""What somebody does with the manifest in an editor, and what an audit finds then."""


class ClusterWeek(Week):
    """A week in two namespaces of a cluster."""

    target: KubernetesTarget

    moments = Moments(comparing="comparing", beginning=" of 1 new, ", ending="smoke suite")
    build_gone = "image-gone"

    @contextmanager
    def without_build(self, release: str) -> Iterator[None]:
        """The image's manifest is deleted from its registry, which has to allow that."""
        reference = releases.load(self.workspace.registry, release).tags["release.image"]
        host, _, path = reference.partition("/")
        url = f"http://{host}/v2/{path.replace('@', '/manifests/')}"
        manifest = requests.get(url, headers={"Accept": MANIFEST}, timeout=30)
        manifest.raise_for_status()
        requests.delete(url, timeout=30).raise_for_status()
        yield
        kind = {"Content-Type": manifest.headers["Content-Type"]}
        requests.put(url, data=manifest.content, headers=kind, timeout=30).raise_for_status()

    def edit(self, expression: str) -> None:
        """Change production's Deployment with `kubectl edit`, and wait for what that leads to."""
        where = f"--namespace={manifests.namespace(self.target.k8s, 'production')}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBE_EDITOR", f"sed -i '{expression}'")
            assert "edited" in kubectl("edit", "deployment", NAME, where)
        kubectl("rollout", "status", f"deployment/{NAME}", where, "--timeout=180s")


@pytest.fixture
def week(kubeconfig: Path, k8s: Path, tmp_path: Path) -> Iterator[ClusterWeek]:
    registry, base = os.environ.get("IMAGE_REGISTRY"), os.environ.get("BASE_IMAGE")
    if not registry or not base or not shutil.which("docker"):
        pytest.skip("no images: IMAGE_REGISTRY or BASE_IMAGE is unset, or docker not on PATH")
    models = tmp_path / "models"
    models.mkdir()
    config = (ROOT / f"models/{MODEL}.yaml").read_text(encoding="utf-8")
    config = re.sub(r"(latency: \{)[^}]*", r"\1batch_rows: 30, requests: 30", config)
    (models / f"{MODEL}.yaml").write_text(config + CONFIG, encoding="utf-8")
    runner = make_script_runner(tmp_path, tmp_path / "shared")
    with mlflow_on_postgres_and_s3(tmp_path) as url:
        runner.environment |= {
            "MLFLOW_TRACKING_URI": url,
            "MODELS_DIR": str(models),
            "RELEASE_TARGET": "kubernetes",
            "K8S_DIR": str(k8s),
            "IMAGE_REGISTRY": f"{registry}/week",
        }
        workspace = Workspace(runner.home, models, url, Progress(quiet=True))
        target = KubernetesTarget(k8s, lambda model: workspace.config(model).kubernetes)
        yield ClusterWeek(runner, workspace, target)


def test_a_week(week: ClusterWeek) -> None:
    release_for_a_week(week)
    check_a_release_that_nobody_knows(week)
    check_edits(week)
    check_what_else_an_audit_finds(week)


def check_a_release_that_nobody_knows(week: ClusterWeek) -> None:
    """It is named, and nothing is deployed."""
    before = week.kinds()
    for environment in ENVIRONMENTS:
        unknown = ("--environment", environment, "--release", "0" * 32, "--model-version", "1")
        _, err = week.runner.run("scripts/deploy_model.py", *unknown, code=2)
        assert re.search(r"^error: run 0{32}; expected a run of this registry; next: ", err, re.M)
        assert "Traceback" not in err
    assert week.kinds() == before


def check_edits(week: ClusterWeek) -> None:
    """Whatever is edited by hand is found, and set back by a rollback to the champion itself."""
    former = releases.newest(week.workspace.registry, MODEL, "1")
    assert former
    for expression, kinds in EDITS.items():
        week.edit(expression.format(other=former.tags["release.image"]))
        assert week.kinds() == kinds
        week.restore()
        assert week.kinds() == []
