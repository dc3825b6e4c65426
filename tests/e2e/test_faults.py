"""Faults, each for real, each ending with production as before and its cause named."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_release.errors import OutsideError
from model_release.identity import slug
from model_release.report import DetailedError
from model_release.targets import Deployment
from tests.e2e.api_server_proxy import ApiServerProxy
from tests.e2e.cluster import NOBODY, STRICT, Cluster, failure
from tests.e2e.probe_images import MODEL, ProbeImages
from tests.waiting import until

NAME = slug(MODEL)


@pytest.fixture(scope="module")
def good(images: ProbeImages) -> Deployment:
    """What production serves before and after each fault."""
    return images.release("1")


@pytest.fixture(scope="module")
def cluster(k8s: Path, good: Deployment) -> Cluster:
    made = Cluster(k8s)
    made.deploy(good)
    return made


@pytest.fixture
def as_before(cluster: Cluster) -> Iterator[None]:
    """Look at production before and after: template, annotations, pods and objects are the same."""
    before = cluster.facts(MODEL)
    yield
    after = cluster.facts(MODEL)
    assert after == before


def refused(cluster: Cluster, deployment: Deployment, cause: str, *, verified: bool = False) -> str:
    """Deploy what has to fail; the report must name the cause."""
    with pytest.raises(DetailedError) as caught:
        cluster.deploy(deployment, verified=verified)
    assert caught.value.exit_code == 1
    assert "production is as before: 2 pods answer as" in caught.value.next_step
    report = failure(caught.value)
    assert re.search(cause, str(caught.value)), report
    return report


@pytest.mark.usefixtures("as_before")
def test_image_missing(cluster: Cluster, images: ProbeImages) -> None:
    deployment = images.release("2")
    gone = deployment.image.partition("@")[0] + "@" + NOBODY
    report = refused(cluster, replace(deployment, image=gone), "not found")
    assert "ErrImagePull" in report or "ImagePullBackOff" in report


@pytest.mark.usefixtures("as_before")
def test_image_in_a_registry_that_the_node_cannot_reach(
    cluster: Cluster, images: ProbeImages
) -> None:
    deployment = images.release("2")
    away = "127.0.0.1:1/k8s-probe@" + deployment.image.partition("@")[2]
    report = refused(cluster, replace(deployment, image=away), "127.0.0.1:1.*connection refused")
    assert "ErrImagePull" in report or "ImagePullBackOff" in report


@pytest.mark.usefixtures("as_before")
def test_image_that_crashes(cluster: Cluster, images: ProbeImages) -> None:
    bad = images.release("2", command="python -c raise(SystemExit('no-such-thing'))")
    report = refused(cluster, bad, "crashed .* times: Error, exit code 1")
    assert "no-such-thing" in report, "its last words are in the report"


@pytest.mark.usefixtures("as_before")
def test_model_cannot_load(cluster: Cluster, images: ProbeImages) -> None:
    report = refused(cluster, images.release("2", "load-error"), "crashed .* exit code 3")
    assert "the weights of this model are damaged" in report


@pytest.mark.usefixtures("as_before")
def test_readiness_never_true(cluster: Cluster, images: ProbeImages) -> None:
    short = Cluster(cluster.k8s, cluster.settings.model_copy(update={"start_seconds": 5}))
    report = refused(short, images.release("2", "load-forever"), "not ready|crashed")
    assert "Startup probe failed" in report


@pytest.mark.usefixtures("as_before")
def test_wrong_digest_in_the_image(cluster: Cluster, images: ProbeImages) -> None:
    refused(cluster, images.release("2", told=NOBODY), f"server of pod .* found digest {NOBODY}")


@pytest.mark.usefixtures("as_before")
def test_canary_with_five_percent_errors(cluster: Cluster, images: ProbeImages) -> None:
    strict = cluster.with_canary(**STRICT)
    report = refused(strict, images.release("2", "errors"), "canary .*: abort; .*error rate")
    assert "| error rate | 0.00%" in report


@pytest.mark.usefixtures("as_before")
def test_canary_with_five_percent_errors_that_its_metrics_deny(
    cluster: Cluster, images: ProbeImages
) -> None:
    cause = rf"canary .*: abort; .*pod {NAME}-canary-\S+ counted 0 errors, seen were [1-9]"
    report = refused(cluster.with_canary(**STRICT), images.release("2", "lies"), cause)
    assert "| error rate | 0.00% | 0.00%" in report, "so it says itself"


@pytest.mark.usefixtures("as_before")
def test_canary_three_times_slower(cluster: Cluster, images: ProbeImages) -> None:
    strict = cluster.with_canary(**STRICT)
    refused(strict, images.release("2", "slow"), "canary .*: abort; .*(median|p95) latency")


@pytest.mark.usefixtures("as_before")
def test_canary_with_one_wrong_golden_prediction(cluster: Cluster, images: ProbeImages) -> None:
    cause = r"canary .*: abort; .*golden prediction row 1: predictions\[0\]: 12.0 in place of 11.0"
    refused(cluster, images.release("2", "wrong"), cause)


@pytest.mark.usefixtures("as_before")
def test_out_of_memory(cluster: Cluster, images: ProbeImages) -> None:
    refused(cluster, images.release("2", "memory"), "OOMKilled")


@pytest.mark.usefixtures("as_before")
def test_quota_exceeded(cluster: Cluster, images: ProbeImages) -> None:
    cluster.kubectl("create", "quota", "small", "--hard=pods=2")
    try:
        until(
            lambda: "used" in cluster.kubectl("get", "quota", "small", "--output=yaml"), seconds=240
        )
        refused(cluster, images.release("2"), "exceeded quota: small")
    finally:
        cluster.kubectl("delete", "quota", "small")


@pytest.mark.usefixtures("as_before")
def test_api_server_away_for_twenty_seconds(
    cluster: Cluster, images: ProbeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ApiServerProxy(tmp_path)
    admin = os.environ["KUBECONFIG"]
    away = threading.Event()

    def outage(line: str) -> None:
        if line.startswith("comparing") and not away.is_set():
            away.set()
            proxy.close()
            threading.Timer(20, proxy.open).start()

    with monkeypatch.context() as patch:
        patch.setenv("KUBECONFIG", str(proxy.kubeconfig))
        with pytest.raises(DetailedError) as caught:
            cluster.deploy(images.release("2"), verified=False, say=outage)
    assert os.environ["KUBECONFIG"] == admin
    proxy.end()
    assert away.is_set()
    assert caught.value.exit_code == 1
    assert re.search("API server|refused|connect", str(caught.value)), failure(caught.value)
    assert "production is as before: 2 pods answer as" in caught.value.next_step


@pytest.mark.usefixtures("as_before")
def test_kubectl_killed(
    cluster: Cluster, images: ProbeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run(["which", "kubectl"], capture_output=True, text=True, check=True).stdout
    killed = tmp_path / "killed"
    doomed = tmp_path / "kubectl"
    doomed.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *" get deployments,pods "*) '
        f"[ -e {killed} ] || {{ : > {killed}; kill -9 $$; }};; esac\n"
        f'exec {real.strip()} "$@"\n'
    )
    doomed.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        refused(cluster, images.release("2"), f"killed by {signal.SIGKILL.name}")
    assert killed.exists()


@pytest.mark.usefixtures("as_before")
def test_namespace_forbidden(
    cluster: Cluster,
    images: ProbeImages,
    deployer: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("KUBECONFIG", str(deployer("staging")))
        with pytest.raises(OutsideError) as caught:
            cluster.deploy(images.release("2"))
    assert "permissions in namespace" in str(caught.value)
    assert "next: let a" in str(caught.value)


def test_autoscaler_acts_during_the_canary(
    cluster: Cluster, images: ProbeImages, good: Deployment
) -> None:
    before = cluster.facts(MODEL)

    def scale(line: str) -> None:
        if line.startswith("comparing"):
            cluster.kubectl("patch", "hpa", NAME, "--patch", '{"spec": {"minReplicas": 4}}')

    with pytest.raises(DetailedError, match="too few requests: the canary answered") as caught:
        cluster.with_canary(duration_seconds=25, min_requests=1_000_000).deploy(
            images.release("2"), say=scale
        )
    assert "production is as before: 4 pods answer as" in caught.value.next_step
    after = cluster.facts(MODEL)
    for unchanged in ("template", "annotations", "objects"):
        assert after[unchanged] == before[unchanged]
    cluster.kubectl("patch", "hpa", NAME, "--patch", '{"spec": {"minReplicas": 2}}')
    cluster.kubectl("scale", "deployment", NAME, "--replicas=2")
    until(lambda: cluster.facts(MODEL)["ready"] == 2, seconds=240)
    assert cluster.deploy(good).identity == good.identity
