"""The canary: started beside the stable pods, both measured; the decision is `canary_analysis`."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import requests

from model_release.bounded_session import BoundedSession
from model_release.config.kubernetes_settings import Canary
from model_release.errors import OutsideError
from model_release.report import Table
from model_release.report.progress import Tell
from model_release.targets import Deployment
from model_release.targets.kubernetes import canary_analysis
from model_release.targets.kubernetes.canary_analysis import AnalysisLimits, Decision
from model_release.targets.kubernetes.traffic import TICK_SECONDS, Group, Replay, both_tracks

LISTEN_SHARE = 0.1
"""Of the configured time: how long callers alone are counted, to see whether they are enough."""

CONFIDENCE = 0.95
"""Of each of the bounds on which a canary is judged."""


@dataclass(frozen=True)
class AnalysisRun:
    """One canary beside one stable Deployment.

    Args:
        slug: the model's.
        base: base URL of the API server's proxy for this namespace.
        deployment: what the canary is of.
        settings: the model's `kubernetes.canary`.
        progress: told how it goes.
        check: raises when this deploy may no longer change or rely on anything.
    """

    slug: str
    base: str
    deployment: Deployment
    settings: Canary
    progress: Tell
    check: Callable[[], None]

    def measure(self) -> Decision:
        """Compare both for the configured time; a canary that is worse ends it at once.

        Raises:
            OutsideError: pods or API server did not answer: there is nothing to decide on.
        """
        seconds = self.settings.duration_seconds
        self.progress(f"comparing both for {seconds:g} s")
        begun = time.monotonic()
        stable, new = Group(), Group()
        with BoundedSession() as session:
            session.trust_env = False
            replay = Replay(session, self.base, self.deployment.cases, self.deployment.tolerances)
            faults = self._look(session, stable, new)
            while True:
                passed = time.monotonic() - begun
                at_end = passed >= seconds
                decision = canary_analysis.judge_canary(
                    stable.counted,
                    new.counted,
                    self._limits,
                    faults,
                    seen=(stable.seen(at_end=at_end), new.seen(at_end=at_end)),
                    by_replay=replay.judged,
                )
                if decision.verdict == "abort" or at_end:
                    return decision
                self.check()
                if replay.a_second is None and passed >= seconds * LISTEN_SHARE:
                    self._choose(replay, _callers(stable, new) / passed)
                ends = time.monotonic() + TICK_SECONDS
                replay.both(stable, new, ends)
                time.sleep(max(0.0, ends - time.monotonic()))
                faults = replay.differences + self._look(session, stable, new)

    @property
    def _limits(self) -> AnalysisLimits:
        settings = self.settings
        return AnalysisLimits(
            settings.min_requests,
            settings.max_error_rate_increase,
            settings.max_latency_ratio,
            CONFIDENCE,
        )

    def _look(self, session: requests.Session, stable: Group, new: Group) -> list[str]:
        """Read the counts of both versions; say what is wrong with the canary's pods themselves.

        Raises:
            OutsideError: the stable pods' counts cannot be, so there is nothing to compare with.
        """
        old_pods, new_pods = both_tracks(session, self.base, self.slug)
        stable.look(session, self.base, old_pods)
        new.look(session, self.base, new_pods)
        for pod, doubt in stable.doubts.items():
            raise OutsideError(
                f"stable pod {pod}, with which the canary is compared",
                expected="counts in /metrics that agree with what was seen of it",
                found=f"it {doubt}",
                next_step=f"read `kubectl logs {pod}`, run `kubectl delete pod {pod}` so that "
                "another takes its place, then run the same command again",
            )
        restarted = [pod for pod in new_pods if pod.restarts]
        return [pod.trouble or f"pod {pod.name} restarted" for pod in restarted] + [
            f"pod {pod} {doubt}" for pod, doubt in new.doubts.items()
        ]

    def _choose(self, replay: Replay, callers: float) -> None:
        """Judge by the callers' requests where the canary gets enough of them, else by replays."""
        wanted = self.settings.load_per_second if self.deployment.cases else 0.0
        replay.judged = callers < wanted
        replay.a_second = math.ceil(wanted if replay.judged else min(1.0, wanted))
        self.progress(
            f"callers send the canary {callers:.0f} requests a second: "
            + ("replaying golden requests to both" if replay.judged else "judged by these")
        )


def _callers(stable: Group, new: Group) -> float:
    """How many requests callers sent to the canary: as it counts them, or as its share would be.

    A model may change its own count. The stable pods do not, and a Service gives each pod the same.
    """
    share = len(new.pods) / max(1, len(stable.pods))
    return min(new.counted.requests, stable.counted.requests * share)


def canary_table(decision: Decision) -> Table:
    """The decision's figures, one a row."""
    columns = ("measure", "stable", "canary", "difference", "allowed", "verdict", "counted by")
    rows = [
        (*canary_analysis.figures(each), each.verdict, each.seen_by)
        for each in decision.comparisons
    ]
    return Table(f"Canary: {decision.verdict}, {decision.reason}", columns, rows)
