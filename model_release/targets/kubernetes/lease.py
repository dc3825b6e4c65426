"""One deploy of a model at a time in a namespace, by a Kubernetes Lease.

Every change is a replace of the version that was read, so the API server lets one of two through.
"""

import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from model_release import commands
from model_release.errors import OutsideError
from model_release.report.progress import Tell
from model_release.targets.kubernetes.kubectl import Kubectl, KubectlError, UnreachableError
from model_release.waiting import polls

DURATION_SECONDS = 15
"""A lease that nobody renewed for this long is free: its holder was killed."""

RENEW_SECONDS = 4.0
POLL_SECONDS = 0.5
STALE_SECONDS = 120.0
"""Older than this by our clock, no skew between clocks explains it: no need to watch it expire."""


class Lease:
    """A held lease: renewed in the background, and asked for before every change."""

    def __init__(self, kubectl: Kubectl, name: str, document: Any) -> None:
        self._kubectl = kubectl
        self._name = name
        self._document = document
        self._renewed = time.monotonic()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.lost = False

    def check(self, retry_seconds: float = 0.0) -> None:
        """Raise OutsideError if another deploy may hold it by now.

        `retry_seconds` is how many seconds an API server that is away is waited for.
        """
        if not self.lost and time.monotonic() - self._renewed > DURATION_SECONDS:
            self._renew(retry_seconds)
        if self.lost:
            raise OutsideError(
                f"lease {self._name}",
                expected="to be held until the end of this deploy",
                found="taken by another deploy while the API server could not be reached",
                next_step=f"run `{commands.script('release_status', target='kubernetes')}` to see "
                "what the other deploy did, then run the same command again; this deploy stopped "
                "its changes",
            )

    def start(self) -> None:
        """Begin to renew it."""
        self._thread.start()

    def release(self) -> None:
        """Release the lease; if that fails, it expires."""
        self._end.set()
        self._thread.join()
        if not self.lost:
            try:
                self._replace({"holderIdentity": "", "leaseDurationSeconds": 1}, 0.0)
            except KubectlError:
                return

    def _keep(self) -> None:
        while not self._end.wait(RENEW_SECONDS):
            try:
                self._renew()
            except KubectlError:  # tried again; `check` finds out before anything is changed
                continue

    def _renew(self, retry_seconds: float = 0.0) -> None:
        with self._lock:
            try:
                self._replace({"renewTime": _now()}, retry_seconds)
            except UnreachableError:
                raise
            except KubectlError as error:
                if error.reason in ("Conflict", "NotFound"):
                    self.lost = True
                    return
                raise
            self._renewed = time.monotonic()

    def _replace(self, change: dict[str, object], retry_seconds: float) -> None:
        self._document["spec"] |= change
        text = json.dumps(self._document)
        self._document = self._kubectl.retrying(retry_seconds).json("replace", "-f", "-", text=text)


@contextmanager
def hold(
    kubectl: Kubectl, name: str, what: str, wait_seconds: float, progress: Tell
) -> Iterator[Lease]:
    """Hold the lease `name` while the block runs.

    Args:
        kubectl: says where.
        name: of the Lease.
        what: what is locked, for the error.
        wait_seconds: how long to wait for another deploy.
        progress: told once that there is somebody to wait for.

    Raises:
        OutsideError: another deploy still holds it; says who.
    """
    lease = Lease(kubectl, name, _acquire(kubectl, name, what, wait_seconds, progress))
    lease.start()
    try:
        yield lease
    finally:
        lease.release()


def _acquire(kubectl: Kubectl, name: str, what: str, wait_seconds: float, progress: Tell) -> Any:
    first_seen: dict[str, float] = {}
    holder = ""
    for _ in polls(wait_seconds, every=POLL_SECONDS):
        while (found := kubectl.find("lease", name)) is None or _free(found, first_seen):
            if taken := _take(kubectl, name, found):
                return taken
        spec = found["spec"]
        if spec["holderIdentity"] != holder:
            holder = spec["holderIdentity"]
            progress(f"waiting for {holder}")
    raise OutsideError(
        f"{what} is busy",
        expected=f"it to be free within {wait_seconds:g} s",
        found=f"{holder}, last seen {spec['renewTime']}",
        next_step="wait for that deploy and run again",
    )


def _free(lease: Any, first_seen: dict[str, float]) -> bool:
    """Whether nobody holds it any more; `first_seen` is when each of its versions was met."""
    spec, now = lease["spec"], time.monotonic()
    unchanged_seconds = now - first_seen.setdefault(lease["metadata"]["resourceVersion"], now)
    if not spec.get("holderIdentity") or unchanged_seconds > spec["leaseDurationSeconds"]:
        return True
    age = datetime.now(UTC) - datetime.fromisoformat(spec["renewTime"])
    return age.total_seconds() > STALE_SECONDS


def _take(kubectl: Kubectl, name: str, found: Any | None) -> Any | None:
    """Create the lease, or replace what was found; None if somebody was faster."""
    metadata = {"name": name, "labels": {"app.kubernetes.io/managed-by": "model-release"}}
    document = found or {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
    }
    document["spec"] = {
        "holderIdentity": _me(),
        "leaseDurationSeconds": DURATION_SECONDS,
        "acquireTime": _now(),
        "renewTime": _now(),
    }
    try:
        return kubectl.json("replace" if found else "create", "-f", "-", text=json.dumps(document))
    except UnreachableError:
        raise
    except KubectlError as error:
        if error.reason in ("AlreadyExists", "Conflict", "NotFound"):
            return None
        raise


def _me() -> str:
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    return f"{who} process {os.getpid()} ({uuid.uuid4().hex[:8]})"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
