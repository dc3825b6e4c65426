"""A cluster by KUBECONFIG, images by DOCKER_HOST, IMAGE_REGISTRY and BASE_IMAGE; else a skip."""

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.targets.kubernetes.manifests import PREPARATION, Workload, namespace
from tests.e2e.probe_images import ProbeImages
from tests.e2e.probe_in_staging import (
    APPLY,
    ENVIRONMENTS,
    SETTINGS,
    ProbeInStaging,
    kubectl,
    render,
)

HERE = Path(__file__).parent
MLFLOW_WARNS = r"ignore:.*type hint:UserWarning:mlflow\."


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker for all tests of the cluster, which share a node; forgive mlflow its warnings."""
    for item in items:
        if "kubeconfig" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("cluster"))
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings(MLFLOW_WARNS))


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """The administrator's kubeconfig."""
    path = os.environ.get("KUBECONFIG")
    if not path or not shutil.which("kubectl"):
        pytest.skip("no cluster: KUBECONFIG is unset, or kubectl not on PATH")
    kubectl("get", "--raw=/readyz")
    return Path(path)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> ProbeImages:
    """Builds and pushes images of the probe model."""
    registry, base = os.environ.get("IMAGE_REGISTRY"), os.environ.get("BASE_IMAGE")
    if not registry or not base or not shutil.which("docker"):
        pytest.skip("no images: IMAGE_REGISTRY or BASE_IMAGE is unset, or docker not on PATH")
    return ProbeImages(tmp_path_factory.mktemp("images"), registry, base)


@pytest.fixture(scope="module")
def k8s(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The manifests, moved to namespaces of their own, which an administrator has prepared."""
    folder = tmp_path_factory.mktemp("manifests") / "k8s"
    shutil.copytree(ROOT / "k8s", folder)
    suffix = uuid.uuid4().hex[:8]
    for environment in ENVIRONMENTS:
        path = folder / environment / "kustomization.yaml"
        line = f"namespace: test-{environment}-{suffix}"
        path.write_text(re.sub(r"(?m)^namespace: \S+", line, path.read_text()))
        command = PREPARATION.format(environment=environment).replace("k8s/", f"{folder}/")
        subprocess.run(command, shell=True, check=True, capture_output=True)
    yield folder
    names = [namespace(folder, environment) for environment in ENVIRONMENTS]
    kubectl("delete", "namespace", *names, "--wait=false")


@pytest.fixture(scope="module")
def deployer(
    k8s: Path, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A kubeconfig of the deployer of an environment, with a token of its service account."""

    def make(environment: str) -> Path:
        where = namespace(k8s, environment)
        admin = kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json")
        token = kubectl("create", "token", "model-deployer", f"--namespace={where}").strip()
        content = json.loads(admin)
        content["users"] = [{"name": "deployer", "user": {"token": token}}]
        content["contexts"][0]["context"] |= {"user": "deployer", "namespace": where}
        path = tmp_path_factory.mktemp("deployer") / "kubeconfig"
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return path

    return make


@pytest.fixture(scope="module")
def workload(images: ProbeImages) -> Workload:
    """The probe model without a fault."""
    deployment = images.release("1")
    return Workload(deployment.identity, deployment.image, SETTINGS)


@pytest.fixture(scope="module")
def probe(
    k8s: Path,
    workload: Workload,
    deployer: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> ProbeInStaging:
    """The model in staging; that this succeeds is the first thing that is tested."""
    manifest = render(tmp_path_factory.mktemp("overlay"), k8s, "staging", workload)
    name = namespace(k8s, "staging")
    made = ProbeInStaging(name, k8s, deployer("staging"), workload, manifest)
    made.run(*APPLY, text=manifest)
    made.rolled_over(made.name)
    return made
