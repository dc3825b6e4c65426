"""Deploys to a real cluster, under callers who must not notice."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_release.errors import OutsideError, ReleaseError, UsageError
from model_release.identity import slug
from model_release.report import DetailedError
from model_release.targets import Deployment
from model_release.targets.kubernetes import manifests
from model_release.targets.kubernetes.target import KubernetesTarget
from tests.e2e.api_server_proxy import token_kubeconfig
from tests.e2e.callers import CallersPod, kubectl
from tests.e2e.cluster import STRICT, Cluster
from tests.e2e.probe_images import MODEL, ProbeImages
from tests.waiting import until

NAME = slug(MODEL)
ENOUGH = 10_000
"""Requests at least in each of the scenarios."""


@pytest.fixture(scope="module")
def cluster(k8s: Path) -> Cluster:
    return Cluster(k8s)


@pytest.fixture(scope="module")
def first(images: ProbeImages) -> Deployment:
    return images.release("1")


@pytest.fixture(scope="module")
def second(images: ProbeImages) -> Deployment:
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
            assert cluster.deploy(first, environment) == replace(running, measured=())
            assert cluster.lines == [f"{environment} already serves {first.identity}"]
            target = cluster.target
            assert "with what a deploy may do there" in target.check(environment, MODEL)
            assert target.find(environment, MODEL) == replace(running, measured=())
            assert str(target.diff(environment, first)) == ""
            assert target.faults(environment, first) == []
    assert {run.environment for run in cluster.target.running()} == {"staging", "production"}


DEPLOY = """
import pickle, sys
cluster, deployment = pickle.load(open(sys.argv[1], "rb"))
cluster.deploy(deployment, say=lambda line: print(line, flush=True))
"""
KILL_AT = ("changes:", "canary: 1 beside", "comparing", f"{NAME}: 1 of 2 new", "watching")


def test_killed_at_any_point_and_run_again_it_converges(
    cluster: Cluster, first: Deployment, second: Deployment, tmp_path: Path
) -> None:
    """Each run goes on from where the one before was killed, and gets further."""
    cluster.deploy(replace(first, proven=True))
    path = tmp_path / "deploy"
    path.write_bytes(pickle.dumps((Cluster(cluster.k8s), second)))
    for text in KILL_AT:
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
    cluster.deploy(first, "staging")
    started = threading.Event()

    def other() -> None:
        Cluster(cluster.k8s).deploy(second, "staging", say=lambda line: started.set())

    thread = threading.Thread(target=other)
    thread.start()
    assert started.wait(60)
    impatient = KubernetesTarget(cluster.k8s, lambda model: cluster.settings, wait_seconds=1)
    with pytest.raises(OutsideError, match=r"deploying .* to staging is busy.*found .*process"):
        impatient.deploy("staging", first, print, lambda url: None)
    thread.join()
    assert cluster.deploy(second, "staging").identity == second.identity


def test_too_few_requests_stop_a_deploy_or_let_it_go_on_as_configured(
    cluster: Cluster, first: Deployment, second: Deployment
) -> None:
    cluster.deploy(replace(second, proven=True))
    before = cluster.facts(MODEL)
    few = {"duration_seconds": 5, "min_requests": 100_000}
    with pytest.raises(DetailedError, match=r"canary .*: inconclusive; .*production is as before"):
        cluster.with_canary(**few, when_inconclusive="stop").deploy(first)
    assert cluster.facts(MODEL) == before
    running = cluster.with_canary(**few, when_inconclusive="go").deploy(first)
    assert running.identity == first.identity
    (table,) = running.measured
    assert table.title.startswith("Canary: inconclusive")


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
    away.write_text(re.sub(r"server: \S+", "server: https://127.0.0.1:1", Path(admin).read_text()))
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
    by_tag = replace(first, image="registry.example.com/model:1")
    with pytest.raises(UsageError, match="no digest"):
        cluster.deploy(by_tag)


@pytest.fixture(scope="module")
def callers(cluster: Cluster, first: Deployment) -> Iterator[CallersPod]:
    """Callers of production, with connections that they keep and without, until the last test."""
    cluster.deploy(replace(first, proven=True))
    with cluster.callers(first) as callers:
        yield callers


def test_callers_do_not_notice_an_upgrade_through_a_canary(
    cluster: Cluster, callers: CallersPod, second: Deployment
) -> None:
    with callers.unnoticed(ENOUGH):
        running = cluster.deploy(second)
    assert running.identity == second.identity
    assert any(line.startswith("canary: promote: not worse over") for line in cluster.lines)
    assert [table.title.partition(",")[0] for table in running.measured] == ["Canary: promote"]
    assert not cluster.kubectl("get", "deployment", f"{NAME}-canary", "--ignore-not-found")


def test_callers_do_not_notice_a_refused_canary(
    cluster: Cluster, callers: CallersPod, images: ProbeImages
) -> None:
    bad = images.release("3", "slow")
    with callers.unnoticed(ENOUGH), pytest.raises(DetailedError, match=r"canary of .*: abort"):
        cluster.with_canary(**STRICT).deploy(bad, verified=False)


def test_callers_do_not_notice_a_rollback_which_waits_for_no_canary(
    cluster: Cluster, callers: CallersPod, first: Deployment
) -> None:
    with callers.unnoticed(ENOUGH):
        assert cluster.deploy(replace(first, proven=True)).identity == first.identity
    assert not any("canary" in line for line in cluster.lines)


def test_callers_do_not_notice_a_deleted_pod(cluster: Cluster, callers: CallersPod) -> None:
    (pod, *_) = names(cluster)
    with callers.unnoticed(ENOUGH):
        cluster.kubectl("delete", "pod", pod, "--wait=false")
        until(lambda: pod not in names(cluster) and cluster.facts(MODEL)["ready"] == 2, seconds=240)


def test_callers_do_not_notice_that_a_pod_is_evicted(cluster: Cluster, callers: CallersPod) -> None:
    """As a node's drain asks for it, again and again until the disruption budget allows it."""
    (pod, *_) = names(cluster)
    about = {"name": pod, "namespace": cluster.namespace}
    eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about})
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/eviction"

    def evicted() -> bool:
        kubectl("create", f"--raw={path}", "-f", "-", text=eviction, check=False)
        return pod not in cluster.facts(MODEL)["pods"]

    with callers.unnoticed(ENOUGH):
        until(evicted, seconds=240)
        until(lambda: pod not in names(cluster) and cluster.facts(MODEL)["ready"] == 2, seconds=240)


def test_a_node_that_evicts_a_pod_cuts_no_request(cluster: Cluster, callers: CallersPod) -> None:
    """As a kubelet does under pressure; here for a /tmp that is full.

    It probes a pod that it evicts no more and reports it ready until its containers are gone, so
    that new connections are refused until every proxy knows: see docs/kubernetes.md.
    """
    (pod, *_) = names(cluster)
    phase = ("get", "pod", pod, "--output=jsonpath={.status.phase}")
    with callers.unnoticed(ENOUGH, refused=ENOUGH // 50):
        fill = ("dd", "if=/dev/zero", "of=/tmp/full", "bs=1M", "count=80")
        cluster.kubectl("exec", pod, "--", *fill)
        until(lambda: cluster.kubectl(*phase) in ("Failed", "Succeeded"), seconds=240)
        until(lambda: cluster.facts(MODEL)["ready"] == 2, seconds=240)


def names(cluster: Cluster) -> list[str]:
    """The pods that are there, ending ones included."""
    selector = f"--selector=app.kubernetes.io/name={NAME}"
    found = cluster.kubectl("get", "pods", selector, "--output=name").split()
    return [name.removeprefix("pod/") for name in found]
