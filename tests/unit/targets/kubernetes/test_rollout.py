"""What Deployments and pods say, read from what an API server answers."""

from typing import Any

import pytest

from model_release.errors import OutsideError
from model_release.identity import Identity
from model_release.targets.kubernetes.manifests import CANARY, STABLE, TRACK
from model_release.targets.kubernetes.rollout import by_track, read_pod, read_status, until_gone
from model_release.targets.kubernetes.target import summary

ANNOTATIONS = {
    "model-release/model": "Iris α",
    "model-release/version": "2",
    "model-release/digest": "sha256:ab",
    "model-release/release": "r2",
}


def pod(container: dict[str, Any], **conditions: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"name": "iris-1", "uid": "u", "annotations": ANNOTATIONS},
        "spec": {"nodeName": "node1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": key, **value} for key, value in conditions.items()],
            "containerStatuses": [
                {"name": "server", "image": "i", "ready": False, "restartCount": 0, **container}
            ],
        },
    }


PULL = {"reason": "ImagePullBackOff", "message": "Back-off pulling image i"}
NO_IMAGE = {"reason": "ErrImagePull", "message": "i: not found"}
FLAKY = {"reason": "ErrImagePull", "message": "i/o timeout"}
CRASHED = {"terminated": {"reason": "Error", "exitCode": 3}}
KILLED = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("container", "trouble"),
    [
        ({"state": {"running": {}}}, ""),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, ""),
        ({"state": {"waiting": FLAKY}}, ""),
        ({"state": {"waiting": NO_IMAGE}}, "ErrImagePull: i: not found"),
        ({"state": {"waiting": PULL}}, "ImagePullBackOff: Back-off pulling image i"),
        ({"state": CRASHED}, ""),
        (
            {"state": BACK_OFF, "lastState": CRASHED, "restartCount": 1},
            "container server crashed 2 times: Error, exit code 3",
        ),
        (
            {"state": {"running": {}}, "lastState": KILLED, "restartCount": 1},
            "container server crashed 2 times: OOMKilled, exit code 137",
        ),
    ],
)
def test_a_pods_trouble_is_named_when_there_is_no_hope(
    container: dict[str, Any], trouble: str
) -> None:
    assert read_pod(pod(container)).trouble == (trouble and f"pod iris-1: {trouble}")


def test_pods_are_told_by_track_and_one_without_a_track_is_none_of_ours() -> None:
    """Somebody took a pod's label away, as one does to look into it, in the middle of a canary."""
    labels = ({TRACK: STABLE}, {TRACK: CANARY}, {TRACK: "mine"}, {}, None)
    pods = [pod({"state": {}}) for _ in labels]
    for number, (each, given) in enumerate(zip(pods, labels, strict=True)):
        each["metadata"]["name"] = f"iris-{number}"
        if given is not None:
            each["metadata"]["labels"] = given
    found = by_track(pods)
    assert {track: [each.name for each in those] for track, those in found.items()} == {
        STABLE: ["iris-0"],
        CANARY: ["iris-1"],
    }


def test_a_pod_that_no_node_takes() -> None:
    long_ago = {
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }
    found = read_pod(pod({"state": {}}, PodScheduled=long_ago))
    assert "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu." in found.trouble
    soon = {**long_ago, "lastTransitionTime": "2999-01-01T00:00:00Z"}
    assert read_pod(pod({"state": {}}, PodScheduled=soon)).trouble == ""


def deployment(**status: Any) -> dict[str, Any]:
    whole = {"observedGeneration": 7, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    return {
        "metadata": {
            "name": "iris",
            "generation": 7,
            "annotations": ANNOTATIONS,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"replicas": 2},
        "status": whole | status,
    }


@pytest.mark.parametrize(
    ("status", "complete"),
    [
        ({}, True),
        ({"observedGeneration": 6}, False),
        ({"updatedReplicas": 1}, False),
        ({"availableReplicas": 1}, False),
        ({"replicas": 3}, False),
    ],
)
def test_a_rollout_is_complete_when_nothing_old_is_left(
    status: dict[str, int], complete: bool
) -> None:
    found = read_status(deployment(**status))
    assert found.complete is complete
    assert found.identity == Identity("Iris α", "2", "sha256:ab", "r2")


class Controllers:
    """A cluster whose controllers delete an orphaned canary's pod after some looks at it."""

    namespace = "models"

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def json(self, *arguments: str) -> Any:
        left = pod({"state": {"running": {}}})
        left["kind"] = "Pod"
        left["metadata"] |= {
            "labels": {TRACK: CANARY},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        self.looks -= 1
        if self.looks < 0:
            left["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        return {"items": [left]}


def test_a_canary_without_its_deployment_is_waited_for_until_its_pods_are_gone() -> None:
    slow: Any = Controllers(looks=2)
    until_gone(slow, "iris", STABLE, 0)
    until_gone(slow, "iris", CANARY, 30)
    assert slow.looks == -1, "it looked until the pod was being deleted, and no longer"
    dead: Any = Controllers(looks=1000)
    with pytest.raises(OutsideError, match=r"pods of deployment iris-canary; .*found iris-1; next"):
        until_gone(dead, "iris", CANARY, 0)


def test_a_quota_is_told_by_the_deployment() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
    condition = failure | {"message": "exceeded quota: small"}
    assert read_status(deployment(conditions=[condition])).trouble == (
        "FailedCreate: exceeded quota: small"
    )


def test_summary_of_a_diff() -> None:
    diff = """\
diff -u -N /tmp/LIVE-1/apps.v1.Deployment.ns.iris /tmp/MERGED-2/apps.v1.Deployment.ns.iris
--- /tmp/LIVE-1/apps.v1.Deployment.ns.iris
+++ /tmp/MERGED-2/apps.v1.Deployment.ns.iris
@@ -1,2 +1,2 @@
-old
+new
diff -u -N /tmp/LIVE-1/v1.Service.ns.iris /tmp/MERGED-2/v1.Service.ns.iris
+added
"""
    assert summary(diff) == "Deployment iris (2 lines), Service iris (1 line)"
    assert summary("") == "none"
