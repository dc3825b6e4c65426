"""What a Deployment and its pods say about a rollout, and waiting for its end."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from model_release.errors import OutsideError
from model_release.identity import Identity
from model_release.report.progress import Tell
from model_release.targets.kubernetes.kubectl import Kubectl
from model_release.targets.kubernetes.manifests import (
    CANARY,
    NAME,
    STABLE,
    TRACK,
    deployment_name,
    identity,
)
from model_release.waiting import polls

POLL_SECONDS = 0.5
UNSCHEDULABLE_SECONDS = 20.0
"""How long a pod may find no node: an autoscaler of nodes needs more, a small cluster less."""

IMAGE_REASONS = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


@dataclass(frozen=True)
class Pod:
    """One pod. `trouble` says why it does not serve and will not without help, or is empty."""

    name: str
    uid: str
    phase: str
    ready: bool
    ending: bool
    restarts: int
    node: str
    waits_for: str
    trouble: str
    identity: Identity | None

    @property
    def gone(self) -> bool:
        """Whether another pod takes its place: it was deleted, or its node has evicted it."""
        return self.ending or self.phase in ("Failed", "Succeeded")


@dataclass(frozen=True)
class DeploymentStatus:
    """A Deployment now: `complete` when all its pods are of its template and serve."""

    identity: Identity | None
    wanted: int
    updated: int
    available: int
    complete: bool
    trouble: str
    since: str


@dataclass(frozen=True)
class Snapshot:
    """A model's Deployments and pods at one moment, by track; pods oldest first."""

    deployments: Mapping[str, DeploymentStatus]
    pods: Mapping[str, Sequence[Pod]]


def look(kubectl: Kubectl, slug: str) -> Snapshot:
    """Read both tracks of a model by one call."""
    found = kubectl.json("get", "deployments,pods", f"--selector={NAME}={slug}")["items"]
    found.sort(key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))
    deployments = [each for each in found if each["kind"] == "Deployment"]
    states = {_track(each): read_status(each) for each in deployments}
    return Snapshot(states, by_track(each for each in found if each["kind"] == "Pod"))


def by_track(pods: Iterable[Any]) -> dict[str, list[Pod]]:
    """Pods as the API server tells them, by track; one without a known track is left out."""
    tracks: dict[str, list[Pod]] = {STABLE: [], CANARY: []}
    for each in pods:
        if (track := _track(each)) in tracks:
            tracks[track].append(read_pod(each))
    return tracks


def _track(resource: Any) -> str:
    return str(resource["metadata"].get("labels", {}).get(TRACK, ""))


def follow(kubectl: Kubectl, slug: str, track: str, seconds: float, progress: Tell) -> list[Pod]:
    """Wait until a rollout is complete; return the pods that serve.

    Args:
        kubectl: says where.
        slug: the model's.
        track: stable or canary.
        seconds: how long it may take.
        progress: told each time something moves.

    Raises:
        OutsideError: it cannot become complete, or did not in time; names the cause.
    """
    name = deployment_name(slug, track)
    told = ""
    for _ in polls(seconds, every=POLL_SECONDS):
        found, ours = _rollout(look(kubectl, slug), track, name)
        if found.complete and len([pod for pod in ours if pod.ready]) >= found.wanted:
            return [pod for pod in ours if pod.ready]
        # A pod that serves now has outlived whatever its last container died of.
        troubles = [pod.trouble for pod in ours if pod.trouble and not pod.ready]
        trouble = found.trouble or next(iter(troubles), "")
        if trouble:
            break
        line = _progress(name, found, ours)
        if line != told:
            progress(line)
            told = line
    raise _stuck(name, found, ours, trouble, seconds)


def until_gone(kubectl: Kubectl, slug: str, track: str, seconds: float) -> None:
    """Wait until callers can reach no pod of a track; a pod that drains counts as gone.

    The API server deletes a Deployment at once. Controllers delete its pods: usually in a moment,
    but much later when they have just lost the API server.

    Raises:
        OutsideError: some are still there after `seconds`.
    """
    for _ in polls(seconds, every=POLL_SECONDS):
        living = [pod.name for pod in look(kubectl, slug).pods[track] if not pod.gone]
        if not living:
            return
    raise OutsideError(
        f"pods of deployment {deployment_name(slug, track)}",
        expected=f"deleted {seconds:g} s after their deployment",
        found=", ".join(living),
        next_step=f"run `kubectl delete pod {' '.join(living)} --namespace {kubectl.namespace}`, "
        "and check that the cluster's controller manager runs",
    )


def _rollout(seen: Snapshot, track: str, name: str) -> tuple[DeploymentStatus, list[Pod]]:
    """The Deployment of a track, and the pods of its release."""
    found = seen.deployments.get(track)
    if found is None:
        raise OutsideError(
            f"deployment {name} is gone",
            next_step="find out who deleted it, then run the same command again",
        )
    ours = [pod for pod in seen.pods[track] if pod.identity == found.identity and not pod.gone]
    return found, ours


def _progress(name: str, found: DeploymentStatus, members: Sequence[Pod]) -> str:
    waits = sorted({pod.waits_for for pod in members if pod.waits_for and not pod.ready})
    line = f"{name}: {found.updated} of {found.wanted} new, {found.available} available"
    return f"{line} ({', '.join(waits)})" if waits else line


def read_pod(pod: Any) -> Pod:
    """Read a pod as the API server tells it."""
    metadata, status = pod["metadata"], pod.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    containers = status.get("containerStatuses", [])
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        phase=status.get("phase", "Unknown"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        ending="deletionTimestamp" in metadata,
        restarts=sum(each["restartCount"] for each in containers),
        node=pod["spec"].get("nodeName", ""),
        waits_for=_waits_for(conditions, containers),
        trouble=_pod_trouble(metadata, conditions, containers),
        identity=identity(pod),
    )


def read_status(deployment: Any) -> DeploymentStatus:
    """Read a Deployment as the API server tells it."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    status = deployment.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    wanted, updated = spec["replicas"], status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    observed = status.get("observedGeneration", 0) >= metadata["generation"]
    failure = conditions.get("ReplicaFailure", {})
    failed = observed and failure.get("status") == "True"
    return DeploymentStatus(
        identity=identity(deployment),
        wanted=wanted,
        updated=updated if observed else 0,
        available=available,
        complete=observed and updated == available == status.get("replicas", 0) == wanted,
        trouble=f"{failure.get('reason')}: {failure.get('message')}" if failed else "",
        since=conditions.get("Progressing", {}).get("lastUpdateTime")
        or metadata["creationTimestamp"],
    )


def _waits_for(conditions: dict[str, Any], containers: list[Any]) -> str:
    for each in containers:
        if waiting := each["state"].get("waiting"):
            return str(waiting.get("reason", "waiting"))
        if "running" in each["state"] and not each["ready"]:
            return "running, not ready"
    scheduled = conditions.get("PodScheduled", {})
    return str(scheduled.get("reason", "")) if scheduled.get("status") == "False" else ""


def _pod_trouble(
    metadata: dict[str, Any], conditions: dict[str, Any], containers: list[Any]
) -> str:
    """Why this pod does not serve and will not, in one line; empty while there is hope."""
    name = metadata["name"]
    for text in _container_troubles(containers):
        return f"pod {name}: {text}"
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("reason") == "Unschedulable":
        since = datetime.fromisoformat(scheduled["lastTransitionTime"])
        if (datetime.now(UTC) - since).total_seconds() > UNSCHEDULABLE_SECONDS:
            return f"pod {name}: Unschedulable: {scheduled.get('message', '')}"
    return ""


def _container_troubles(containers: list[Any]) -> Iterator[str]:
    for each in containers:
        waiting = each["state"].get("waiting", {})
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        missing = reason == "ErrImagePull" and "not found" in message
        if missing or reason in (*IMAGE_REASONS, *CONFIG_REASONS):
            yield f"{reason}: {message or each['image']}"
        ended = each["state"].get("terminated") or each.get("lastState", {}).get("terminated")
        if ended and (reason == "CrashLoopBackOff" or ended.get("reason") == "OOMKilled"):
            code = f"{ended.get('reason')}, exit code {ended.get('exitCode')}"
            yield f"container {each['name']} crashed {each['restartCount'] + 1} times: {code}"


def _stuck(
    name: str, found: DeploymentStatus, members: list[Pod], trouble: str, seconds: float
) -> OutsideError:
    waits = "; ".join(f"{pod.name}: {pod.waits_for}" for pod in members if not pod.ready)
    ready = f"{found.available} of {found.wanted} available after {seconds:g} s"
    return OutsideError(
        f"rollout of deployment {name}",
        expected=f"{found.wanted} pods of {found.identity} that are ready",
        found=trouble or f"{ready}{'; ' + waits if waits else ''}",
        next_step="read the events and logs in the report, correct the cause and release again",
    )
