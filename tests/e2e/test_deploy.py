"""Deploys to a real cluster, under callers who must not notice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model_release import manifests
from model_release.errors import OutsideError, ReleaseError, UsageError
from model_release.report import DetailedError
from model_release.slug import slug
from model_release.targets import Deployment
from model_release.targets.kubernetes import KubernetesTarget
from tests.e2e.images import MODEL, Images
from tests.e2e.outage import token_kubeconfig
from tests.e2e.production import STRICT, Cluster, until

NAME = slug(MODEL)
ENOUGH = 2_000
"""Requests at least in each of five scenarios, 10,000 together."""


@pytest.fixture(scope="module")
def cluster(k8s: Path) -> Cluster:
    return Cluster(k8s)


@pytest.fixture(scope="module")
def first(images: Images) -> Deployment:
    return images.release("1")


@pytest.fixture(scope="module")
def second(images: Images) -> Deployment:
    return images.release("2")


def test_the_deployers_own_permissions_suffice(
    cluster: Cluster,
    first: Deployment,
    deployer: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for environment in ("staging", "production"):
        with monkeypatch.context() as patch:
            patch.setenv("KUBECONFIG", str(deployer(environment)))
            running = cluster.deploy(first, environment)
            assert running.identity == first.identity
            assert running.replicas == {"staging": 1, "production": 2}[environment]
            if environment == "production":
                assert "first deployment here: nothing to compare a canary with" in cluster.lines
            begun = time.monotonic()
            assert cluster.deploy(first, environment).release == first.release
            assert time.monotonic() - begun < 10
            assert cluster.lines == [f"{environment} already serves {first.identity}"]
    assert {run.environment for run in cluster.target.running()} == {"staging", "production"}


def test_second_version_goes_through_a_canary(
    cluster: Cluster, first: Deployment, second: Deployment
) -> None:
    cluster.deploy(first)
    with cluster.load(first) as load:
        running = cluster.deploy(second)
        told = load.reach(ENOUGH)
    assert running.identity == second.identity
    assert any(line.startswith("canary: promote: not worse over") for line in cluster.lines)
    assert not cluster.kubectl("get", "deployment", f"{NAME}-canary", "--ignore-not-found")
    assert told["failed"] == 0, told


def test_rollback_waits_for_no_canary(
    cluster: Cluster, first: Deployment, second: Deployment
) -> None:
    cluster.deploy(second)
    with cluster.load(first) as load:
        assert cluster.deploy(replace(first, proven=True)).identity == first.identity
        assert not any("canary" in line for line in cluster.lines)
        told = load.reach(ENOUGH)
    assert told["failed"] == 0, told


def test_callers_do_not_notice_a_refused_canary(
    cluster: Cluster, images: Images, first: Deployment
) -> None:
    cluster.deploy(first)
    with cluster.load(first) as load:
        with pytest.raises(DetailedError, match="canary of"):
            cluster.with_canary(**STRICT).deploy(images.release("3", "slow"), verified=False)
        told = load.reach(ENOUGH)
    assert told["failed"] == 0, told


def test_callers_do_not_notice_a_deleted_pod(cluster: Cluster, first: Deployment) -> None:
    cluster.deploy(first)
    with cluster.load(first) as load:
        pods = cluster.facts(MODEL)["pods"]
        assert isinstance(pods, list)
        cluster.kubectl("delete", "pod", pods[0], "--wait=false")
        until(lambda: pods[0] not in names(cluster) and cluster.facts(MODEL)["ready"] == 2)
        told = load.reach(ENOUGH)
    assert told["failed"] == 0, told


def test_callers_do_not_notice_an_evicted_pod(cluster: Cluster, first: Deployment) -> None:
    cluster.deploy(first)
    with cluster.load(first) as load:
        (pod, *_) = names(cluster)
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": cluster.namespace},
        }
        path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/eviction"
        cluster.kubectl("create", f"--raw={path}", "-f", "-", text=json.dumps(eviction))
        until(lambda: pod not in names(cluster) and cluster.facts(MODEL)["ready"] == 2)
        told = load.reach(ENOUGH)
    assert told["failed"] == 0, told


def names(cluster: Cluster) -> list[str]:
    """The pods that are there, ending ones included."""
    selector = f"--selector=app.kubernetes.io/name={NAME}"
    found = cluster.kubectl("get", "pods", selector, "--output=name").split()
    return [name.removeprefix("pod/") for name in found]


DEPLOY = """
import pickle, sys
cluster, deployment = pickle.load(open(sys.argv[1], "rb"))
cluster.deploy(deployment, say=lambda line: print(line, flush=True))
"""
KILL_AT = ("changes:", "canary: 1 beside", "comparing", "canary: promote", "watching")


@pytest.mark.parametrize("text", KILL_AT)
def test_killed_at_any_point_and_run_again_it_converges(
    cluster: Cluster, first: Deployment, second: Deployment, tmp_path: Path, text: str
) -> None:
    cluster.deploy(first)
    path = tmp_path / "deploy"
    import pickle

    path.write_bytes(pickle.dumps((Cluster(cluster.k8s), second)))
    process = subprocess.Popen(
        [sys.executable, "-c", DEPLOY, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert any(line.startswith(text) for line in process.stdout), f"no line {text!r}"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert cluster.deploy(second).identity == second.identity
    assert not cluster.kubectl("get", "deployment", f"{NAME}-canary", "--ignore-not-found")
    assert cluster.facts(MODEL)["ready"] == 2


def test_of_two_deploys_at_once_one_waits(
    cluster: Cluster, first: Deployment, second: Deployment
) -> None:
    cluster.deploy(first)
    started = threading.Event()

    def other() -> None:
        cluster.with_canary(duration_seconds=5).deploy(
            second, "staging", say=lambda line: started.set()
        )

    thread = threading.Thread(target=other)
    thread.start()
    assert started.wait(60)
    impatient = KubernetesTarget(cluster.k8s, lambda model: cluster.settings, lease_seconds=1)
    with pytest.raises(OutsideError, match=r"deploying .* to staging is busy.*found .*process"):
        impatient.deploy("staging", first, print, lambda url: None)
    thread.join()
    assert cluster.deploy(second, "staging").identity == second.identity


def test_bad_input_is_one_line_with_a_next_step(
    cluster: Cluster,
    first: Deployment,
    k8s: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = os.environ["KUBECONFIG"]
    several = tmp_path / "several"
    several.write_text(Path(admin).read_text())
    command = ["kubectl", f"--kubeconfig={several}", "config", "set-context", "other"]
    subprocess.run(command, check=True, capture_output=True)
    away = tmp_path / "away"
    away.write_text(Path(admin).read_text().replace(":6443", ":1"))
    cases: list[tuple[str, str, str, str]] = [
        (str(tmp_path / "none"), "", "production", "KUBECONFIG"),
        (admin, "nowhere", "production", "context .*nowhere.* does not exist"),
        (str(several), "", "production", "context of production; expected to be named"),
        (str(away), "", "production", "an API server that answers"),
        (str(token_kubeconfig(tmp_path, "expired")), "", "production", "renew the token"),
        (admin, "", "elsewhere", "environment 'elsewhere'; expected staging or production"),
    ]
    for kubeconfig, context, environment, wanted in cases:
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        target = KubernetesTarget(k8s, lambda model: cluster.settings, context)
        with pytest.raises(ReleaseError, match=wanted) as caught:
            target.deploy(environment, first, print, lambda url: None)
        assert "next: " in str(caught.value)
        assert caught.value.exit_code in (2, 3)


def test_a_namespace_that_is_missing_is_named(
    first: Deployment, cluster: Cluster, tmp_path: Path
) -> None:
    import shutil

    k8s = tmp_path / "k8s"
    shutil.copytree(cluster.k8s, k8s)
    path = k8s / "production" / "kustomization.yaml"
    name = manifests.namespace(k8s, "production")
    path.write_text(path.read_text().replace(f"namespace: {name}", "namespace: not-there"))
    target = KubernetesTarget(k8s, lambda model: cluster.settings)
    with pytest.raises(OutsideError, match=r'namespaces "not-there" not found.*next: let a'):
        target.deploy("production", first, print, lambda url: None)


def test_an_image_by_tag_is_refused(cluster: Cluster, first: Deployment) -> None:
    by_tag = Deployment(**{**vars(first), "image": "registry.example.com/model:1"})
    with pytest.raises(UsageError, match="no digest"):
        cluster.deploy(by_tag)
