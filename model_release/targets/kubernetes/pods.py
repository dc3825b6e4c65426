"""Pods, asked one by one through the API server's proxy: who they are, and the smoke suite."""

from collections.abc import Sequence

from model_release import commands
from model_release.errors import OutsideError, ReleaseError
from model_release.identity import Identity
from model_release.smoke import ask_identity
from model_release.targets import Verify
from model_release.targets.kubernetes.rollout import Pod
from model_release.waiting import retry

PORT = 8080
SETTLE_SECONDS = 10.0
"""How long a pod may refuse connections through the proxy after it has become ready."""

SETTLE_POLL_SECONDS = 0.2


def pod_url(base: str, pod: str) -> str:
    """Address of a pod's server behind a proxy of the API server."""
    return f"{base}/pods/{pod}:{PORT}/proxy"


def check_pods(base: str, members: Sequence[Pod], wanted: Identity) -> None:
    """Ask each pod who it is.

    Raises:
        OutsideError: one does not answer, or is another model, version, digest or release.
    """
    for pod in members:
        found = _identity(pod_url(base, pod.name))
        if different := wanted.differences(found):
            anew = commands.station("validate", wanted.model, wanted.version)
            raise OutsideError(
                f"server of pod {pod.name}",
                expected=found.differences(wanted),
                found=different,
                next_step=f"the image holds another release: begin a new one with `{anew}`",
            )


def _identity(url: str) -> Identity:
    """Who a server is; asked again while one that has just become ready is not reached yet."""

    def ask() -> Identity:
        return ask_identity(url)

    return retry(ask, OutsideError, SETTLE_SECONDS, every=SETTLE_POLL_SECONDS)


def verify_pods(base: str, members: Sequence[Pod], verify: Verify) -> None:
    """Run the smoke suite against each pod by itself."""
    for pod in members:
        verify(pod_url(base, pod.name))


def fault(base: str, pod: Pod, wanted: Identity) -> str:
    """What is wrong with a pod that should answer as `wanted`; "" for nothing."""
    if not pod.ready:
        return f"pod {pod.name} is not ready: {pod.trouble or pod.waits_for}"
    try:
        check_pods(base, [pod], wanted)
    except ReleaseError as error:
        return f"pod {pod.name}: {error.found or error.what}"
    return ""
