"""A pod whose model hangs, crashes, exits or eats memory is replaced; the other one answers on."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from model_release.identity import slug
from model_release.targets.kubernetes.kubectl import Kubectl
from model_release.targets.kubernetes.pods import pod_url
from tests.e2e.cluster import SMALL, Cluster
from tests.e2e.probe_images import MODEL, ProbeImages
from tests.waiting import until

pytestmark = pytest.mark.long

HASTY = """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: Deployment, labelSelector: app.kubernetes.io/component=model-server}
    patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: model-server}
      spec:
        template:
          spec:
            containers:
              - name: server
                env:
                  - {name: SERVING_THREADS, value: "1"}
                  - {name: SERVING_REQUEST_TIMEOUT_SECONDS, value: "2"}
                  - {name: SERVING_HANG_SECONDS, value: "30"}
"""
"""Long enough to be seen not ready (two probes, five seconds each) before it ends."""

HANG, CRASH, EXIT, MEMORY = -1.0, -2.0, -3.0, -4.0
"""What `probe_model` takes for a wish."""


class TwoPods(NamedTuple):
    """A model in production, and where its pods are asked one by one."""

    cluster: Cluster
    base: str

    def get(self) -> dict[str, Any]:
        """The pods that are not ending, by name; who was restarted least comes first."""
        label = f"--selector=app.kubernetes.io/name={slug(MODEL)}"
        found = json.loads(self.cluster.kubectl("get", "pods", label, "--output=json"))["items"]
        living = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return {pod["metadata"]["name"]: pod for pod in sorted(living, key=restarts)}

    def ask(self, pod: str, a: float = 1.0) -> int:
        """The status of one pod's answer, which is right if it is 200; 0 where there is none."""
        frame = {"columns": ["a", "b"], "data": [[a, 1.0]]}
        url = f"{pod_url(self.base, pod)}/invocations"
        try:
            told = requests.post(url, json={"dataframe_split": frame}, timeout=60)
        except requests.ConnectionError:
            return 0
        assert told.status_code != 200 or told.json() == {"predictions": [a + 2]}
        return told.status_code


@pytest.fixture(scope="module")
def two(k8s: Path, images: ProbeImages) -> Iterator[TwoPods]:
    folder = k8s / "components" / "hasty"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(HASTY)
    cluster = Cluster(k8s, SMALL.model_copy(update={"components": ("hasty",)}))
    assert cluster.deploy(images.release("1")).replicas == 2
    with Kubectl(cluster.namespace, "production").proxy(slug(MODEL)) as base:
        yield TwoPods(cluster, base)


def restarts(pod: Any) -> int:
    return sum(each["restartCount"] for each in pod["status"].get("containerStatuses", []))


def readiness(pod: Any) -> tuple[bool, str]:
    """Whether it is ready, which is whether its Service sends it requests; and since when."""
    (ready,) = [each for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    return ready["status"] == "True", ready["lastTransitionTime"]


@pytest.mark.parametrize(
    ("wish", "code"),
    [(HANG, 1), (CRASH, 139), (EXIT, 0), (MEMORY, 137)],
    ids=["hangs", "crashes", "exits", "eats memory"],
)
def test_a_pod_is_replaced_whose_model(two: TwoPods, wish: float, code: int) -> None:
    before = two.get()
    sick, other = before
    assert two.ask(sick) == two.ask(other) == 200
    assert two.ask(sick, wish) != 200

    def is_replaced() -> bool:
        assert two.ask(other) == 200
        now = two.get()[sick]
        return restarts(now) > restarts(before[sick]) and readiness(now)[0]

    if wish == HANG:
        until(lambda: not readiness(two.get()[sick])[0], seconds=240)
        assert restarts(two.get()[sick]) == restarts(before[sick]), "it says so before it ends"
    until(is_replaced, seconds=240)
    after = two.get()
    (server,) = after[sick]["status"]["containerStatuses"]
    assert server["lastState"]["terminated"]["exitCode"] == code
    assert readiness(after[sick])[1] > readiness(before[sick])[1]
    assert restarts(after[other]) == restarts(before[other])
    until(lambda: two.ask(sick) == 200, seconds=60)


def test_told_to_end_while_it_hangs_it_is_gone_within_the_grace_period(two: TwoPods) -> None:
    sick, other = two.get()
    assert two.ask(sick, HANG) == 504
    kubectl = two.cluster.kubectl
    kubectl("delete", "pod", sick, "--wait=false")
    ending = json.loads(kubectl("get", "pod", sick, "--output=json"))["metadata"]
    assert ending["deletionGracePeriodSeconds"] == 80

    def is_gone() -> bool:
        assert two.ask(other) == 200
        return not kubectl("get", "pod", sick, "--ignore-not-found")

    until(is_gone, seconds=240)
    assert datetime.now(UTC) < datetime.fromisoformat(ending["deletionTimestamp"]), "not killed"
    until(lambda: [two.ask(pod) for pod in two.get()] == [200, 200], seconds=240)
