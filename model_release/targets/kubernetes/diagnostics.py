"""What an operator would look for after a failed deploy: pods, events, last logs, as tables."""

from collections.abc import Sequence
from typing import Any

from model_release.identity import short_id
from model_release.report import Table
from model_release.targets.kubernetes.kubectl import Kubectl, KubectlError
from model_release.targets.kubernetes.manifests import CANARY, STABLE
from model_release.targets.kubernetes.rollout import Pod, look

EVENTS = 20
LOG_LINES = 15
LOGGED_PODS = 2


def diagnose(kubectl: Kubectl, slug: str, since: str) -> list[Table]:
    """Tables about the model's pods in their namespace as they are, and warnings since a time.

    It is called when something has failed already: what cannot be read is said in its table.
    """
    members: list[Pod] = []
    tables = []
    try:
        seen = look(kubectl, slug)
        members = [*seen.pods[STABLE], *seen.pods[CANARY]]
        tables.append(_pod_table(members))
        tables.append(_event_table(kubectl, slug, since))
        unwell = [pod for pod in members if pod.trouble or pod.restarts or not pod.ready]
        tables += [_log_table(kubectl, pod) for pod in unwell[-LOGGED_PODS:]]
    except KubectlError as error:
        tables.append(Table("Diagnostics", ("what",), [(f"not available: {error}",)]))
    return tables


def causes(kubectl: Kubectl, slug: str) -> list[str]:
    """What pods of the model say about why they do not serve, canary first; empty if nothing."""
    try:
        seen = look(kubectl, slug)
    except KubectlError:
        return []
    return [pod.trouble for pod in (*seen.pods[CANARY], *seen.pods[STABLE]) if pod.trouble]


def _pod_table(members: Sequence[Pod]) -> Table:
    columns = ("pod", "release", "phase", "ready", "restarts", "node", "why")
    rows = [
        (
            pod.name,
            short_id(pod.identity.release) if pod.identity else "",
            "Terminating" if pod.ending else pod.phase,
            "yes" if pod.ready else "no",
            str(pod.restarts),
            pod.node or "none",
            pod.trouble or pod.waits_for,
        )
        for pod in members
    ]
    return Table("Pods", columns, rows or [("none", *[""] * (len(columns) - 1))])


def _event_table(kubectl: Kubectl, slug: str, since: str) -> Table:
    found = kubectl.json("get", "events", "--field-selector=type=Warning")["items"]
    ours = [event for event in found if _is_about(event, slug) and _last(event) >= since]
    ours.sort(key=_last)
    rows = [
        (
            _last(event),
            f"{event['involvedObject']['kind']}/{event['involvedObject']['name']}",
            str(event.get("reason")),
            str(event.get("message"))[:300],
        )
        for event in ours[-EVENTS:]
    ]
    return Table("Warnings", ("last", "object", "reason", "message"), rows)


def _last(event: Any) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def _is_about(event: Any, slug: str) -> bool:
    name = str(event["involvedObject"].get("name", ""))
    return name == slug or name.startswith(f"{slug}-")


def _log_table(kubectl: Kubectl, pod: Pod) -> Table:
    arguments = ["logs", pod.name, "--container=server", f"--tail={LOG_LINES}"]
    text = ""
    for which in (["--previous"] if pod.restarts else [], []):
        try:
            text = kubectl.run(*arguments, *which).strip()
        except KubectlError as error:  # it has no log: it never started, or is gone
            text = f"none: {error.found}"
        if text:
            break
    return Table(f"Last log lines of {pod.name}", ("line",), [(line,) for line in text.split("\n")])
