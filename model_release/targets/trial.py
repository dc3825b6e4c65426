"""The canary's trial: start it beside the stable pods, measure both, and leave the decision."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import requests

from model_release import canary
from model_release.canary import Decision, Limits
from model_release.cluster import Canary
from model_release.errors import OutsideError
from model_release.report import Table
from model_release.smoke import Identity, ask_identity
from model_release.targets import Deployment, Progress, Verify
from model_release.targets.kubectl import Kubectl
from model_release.targets.rollout import CANARY, STABLE, Pod, pods
from model_release.targets.traffic import Group, Replay, pod_url

TICK_SECONDS = 1.0
SETTLE_SECONDS = 10.0
"""How long a pod may refuse connections through the proxy after it has become ready."""

CONFIDENCE = 0.95
"""Of each of the bounds on which a canary is judged."""


@dataclass(frozen=True)
class Trial:
    """One canary beside one stable Deployment.

    Args:
        kubectl: where both are.
        slug: the model's.
        base: base URL of the API server's proxy for this namespace.
        deployment: what the canary is of.
        settings: the model's `kubernetes.canary`.
        progress: told how it goes.
        check: raises when this deploy may no longer change or rely on anything.
    """

    kubectl: Kubectl
    slug: str
    base: str
    deployment: Deployment
    settings: Canary
    progress: Progress
    check: Callable[[], None]

    def measure(self) -> Decision:
        """Compare both for the configured time; a canary that is worse ends it at once.

        Raises:
            OutsideError: pods or API server did not answer: there is nothing to decide on.
        """
        settings = self.settings
        deadline = time.monotonic() + settings.duration_seconds
        stable, new, faults = Group(), Group(), self._faults([])
        with requests.Session() as session:
            session.trust_env = False
            replay = Replay(session, self.base, self.deployment.cases, self.deployment.tolerances)
            self._look(session, stable, new)
            self.progress(f"comparing both for {settings.duration_seconds:g} s")
            while True:
                decision = canary.decide(stable.sample, new.sample, self._limits, faults)
                if decision.verdict == "abort" or time.monotonic() >= deadline:
                    return decision
                self.check()
                before, begun = new.sample.requests, time.monotonic()
                time.sleep(min(TICK_SECONDS, max(0.0, deadline - begun)))
                found = self._look(session, stable, new)
                missing = self._missing(before, new.sample.requests, time.monotonic() - begun)
                until = time.monotonic() + 2 * TICK_SECONDS
                faults = replay.both(stable, new, missing, until) + self._faults(found)
                self._look(session, stable, new)

    @property
    def _limits(self) -> Limits:
        settings = self.settings
        return Limits(
            settings.min_requests,
            settings.max_error_rate_increase,
            settings.max_latency_ratio,
            CONFIDENCE,
        )

    def _look(self, session: requests.Session, stable: Group, new: Group) -> list[Pod]:
        """Read the counts of both versions; return the canary's pods."""
        stable.look(session, self.base, pods(self.kubectl, self.slug, STABLE))
        found = pods(self.kubectl, self.slug, CANARY)
        new.look(session, self.base, found)
        return found

    def _missing(self, before: float, after: float, seconds: float) -> int:
        """Requests to replay so that the canary gets `load_per_second`; 0 without cases."""
        if not self.deployment.cases:
            return 0
        wanted = self.settings.load_per_second * max(seconds, TICK_SECONDS)
        return max(0, round(wanted - (after - before)))

    def _faults(self, members: Sequence[Pod]) -> list[str]:
        """What is wrong with the canary's pods themselves."""
        restarted = [pod for pod in members if pod.restarts]
        return [pod.trouble or f"pod {pod.name} restarted" for pod in restarted]


def check_pods(base: str, members: Sequence[Pod], wanted: Identity) -> None:
    """Ask each pod who it is.

    Raises:
        OutsideError: one does not answer, or is another model, version, digest or release.
    """
    for pod in members:
        found = settled(lambda url: ask_identity(url), pod_url(base, pod.name))
        if found != wanted:
            names = ("model", "version", "digest", "release")
            differ = [name for name in names if getattr(found, name) != getattr(wanted, name)]
            raise OutsideError(
                f"server of pod {pod.name}",
                expected="; ".join(f"{name} {getattr(wanted, name)}" for name in differ),
                found="; ".join(f"{name} {getattr(found, name)}" for name in differ),
                next_step="the image holds another release than it was deployed as: build it anew",
            )


def settled(ask: Callable[[str], Identity], url: str) -> Identity:
    """`ask(url)`, tried again while a server that has just become ready is not reached yet."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            return ask(url)
        except OutsideError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)


def verify_pods(base: str, members: Sequence[Pod], verify: Verify) -> None:
    """Run the smoke suite against each pod by itself."""
    for pod in members:
        verify(pod_url(base, pod.name))


def comparison_table(decision: Decision) -> Table:
    """The decision's figures, one a row."""
    columns = ("measure", "stable", "canary", "difference", "allowed", "verdict")
    rows = [(*canary.figures(each), each.verdict) for each in decision.comparisons]
    return Table(f"Canary: {decision.verdict}, {decision.reason}", columns, rows)
