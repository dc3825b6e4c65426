"""What two versions answer while both serve: their `/metrics`, and replayed golden requests.

The counts of `/metrics` are the servers' own: they hold every caller's requests, and what a model
in the server makes of them. So golden requests are replayed to both as well, in turn, so that
whatever slows this cluster slows both; what they find is the pipeline's own. Where callers are few,
latency is that of the replayed requests alone: callers keep their connections to the stable pods,
and what they ask is not what is replayed, so that a mixture would not be the same for both.
"""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

from model_release.answers import Tolerances, first_difference
from model_release.errors import OutsideError
from model_release.smoke import Case
from model_release.targets.kubernetes.canary_analysis import Sample
from model_release.targets.kubernetes.manifests import CANARY, NAME, STABLE
from model_release.targets.kubernetes.pod_figures import Container, Exchange, sample
from model_release.targets.kubernetes.pods import pod_url
from model_release.targets.kubernetes.rollout import Pod, by_track

TICK_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
REPLAYERS = 4
"""Requests that are under way at once in a replay; each waits for both versions in turn."""


def both_tracks(session: requests.Session, base: str, slug: str) -> tuple[list[Pod], list[Pod]]:
    """The stable and the canary pods of a model, by one request and no new process."""
    try:
        answer = session.get(
            f"{base}/pods", params={"labelSelector": f"{NAME}={slug}"}, timeout=TIMEOUT_SECONDS
        )
        answer.raise_for_status()
        found = answer.json()["items"]
    except (requests.RequestException, KeyError, ValueError) as error:
        raise OutsideError(
            f"pods of {slug}",
            expected="their list from the API server",
            found=f"{type(error).__name__}: {error}",
            next_step="check that the API server answers, then run the same command again",
        ) from error
    tracks = by_track(found)
    return tracks[STABLE], tracks[CANARY]


@dataclass
class Group:
    """The pods of one version, and what they have answered since they were first looked at."""

    pods: list[Pod] = field(default_factory=list)
    doubts: dict[str, str] = field(default_factory=dict)
    _containers: dict[tuple[str, int], Container] = field(default_factory=dict)

    def look(self, session: requests.Session, base: str, pods: Sequence[Pod]) -> None:
        """Read the counts of the pods that serve now; those that went keep their last.

        Not while anything is replayed: what a pod counts is held against what it was heard to
        answer. Where both cannot be true, `doubts` say why, by the pod's name.
        """
        self.pods = [pod for pod in pods if pod.ready and not pod.ending]
        answered = {key: each.settle() for key, each in self._containers.items()}
        for pod in self.pods:
            found = self.container(pod)
            told = _metrics(session, base, pod.name)
            doubt = found.read(told, answered=answered.get(_key(pod), False))
            if doubt:
                self.doubts.setdefault(pod.name, doubt)

    def container(self, pod: Pod) -> Container:
        """What is known of a pod's server; one that starts anew counts anew."""
        return self._containers.setdefault(_key(pod), Container())

    @property
    def counted(self) -> Sample:
        """What they have counted themselves since they were first looked at."""
        return sum((each.counted for each in self._containers.values()), start=Sample())

    def seen(self, *, at_end: bool) -> Sample:
        """What was replayed to them, as it was seen from outside.

        `at_end`, when nothing more comes, no doubt is left about a pod that is still there.
        """
        found = [each.seen for each in self._containers.values()]
        found += [self.container(pod).doubtful for pod in self.pods] if at_end else []
        return sample(each for some in found for each in some)


def _key(pod: Pod) -> tuple[str, int]:
    return pod.uid, pod.restarts


def _metrics(session: requests.Session, base: str, pod: str) -> str | None:
    """What a pod counts; None where the API server answered in its place, or seems to have."""
    try:
        answer = session.get(f"{pod_url(base, pod)}/metrics", timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise _unread(pod, f"{type(error).__name__}: {error}") from error
    if answer.status_code == 200:
        return answer.content.decode(errors="replace")
    if _is_proxy_error(answer):
        return None  # the pod may have gone between being listed and being asked
    raise _unread(pod, f"status {answer.status_code}: {answer.text[:200]}")


@dataclass
class Replay:
    """Golden requests to the pods of two versions, in turn.

    Args:
        session: open connections.
        base: base URL of the API server's proxy for the namespace.
        cases: golden cases.
        tolerances: for their predictions.
        a_second: how many to send to each version; None while callers alone are counted.
        judged: whether latency is judged by them alone.
        turn: how many were sent.
        differences: what the second version has answered otherwise than validated.
    """

    session: requests.Session
    base: str
    cases: Sequence[Case]
    tolerances: Tolerances
    a_second: int | None = None
    judged: bool = False
    turn: int = 0
    differences: list[str] = field(default_factory=list)

    def _ask(self, pod: str, case: Case) -> tuple[Exchange, str]:
        """Send a case to a pod; say how its predictions differ, or "".

        An answer other than 200 is no difference: it is an error.
        """
        url = f"{pod_url(self.base, pod)}/invocations"
        begun = time.perf_counter()
        try:
            answer = self.session.post(url, json=case["request"], timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise _unread(pod, f"{type(error).__name__}: {error}") from error
        exchange = Exchange(time.perf_counter() - begun, answer.status_code, _is_own(answer))
        if answer.status_code != 200:
            return exchange, ""
        different = first_difference(case["predictions"], _predictions(answer), self.tolerances)
        return exchange, f"golden prediction {case['name']}: {different}" if different else ""

    def both(self, first: Group, second: Group, until: float) -> None:
        """Send a second's requests to each group, the same to both; return when all are answered.

        `until` is a time of `time.monotonic()` at which to stop.
        """
        if not (self.a_second and first.pods and second.pods):
            return
        turns = range(self.turn, self.turn + self.a_second)
        self.turn += self.a_second
        with ThreadPoolExecutor(REPLAYERS) as pool:
            for _ in pool.map(lambda turn: self._pair((first, second), turn, until), turns):
                continue

    def _pair(self, groups: tuple[Group, Group], turn: int, until: float) -> None:
        """Send one case to a pod of each group unless it is too late; who is first alternates."""
        if time.monotonic() >= until:
            return
        rounds, number = divmod(turn, len(self.cases))
        for which in (0, 1) if (rounds + number) % 2 else (1, 0):
            group = groups[which]
            pod = group.pods[rounds % len(group.pods)]
            exchange, different = self._ask(pod.name, self.cases[number])
            group.container(pod).heard.append(exchange)
            if different and which == 1:
                self.differences.append(different)


def _predictions(answer: requests.Response) -> object:
    """What a server predicts; its text where that is no JSON."""
    try:
        found: object = json.loads(answer.content)
    except (ValueError, RecursionError):
        return answer.content[:200].decode(errors="replace")
    return found.get("predictions") if isinstance(found, Mapping) else found


def _is_proxy_error(answer: requests.Response) -> bool:
    """Whether the API server answered in the pod's place, or it looks as if."""
    return b'"kind":"Status"' in answer.content or b"error trying to reach" in answer.content


def _is_own(answer: requests.Response) -> bool:
    """Whether a pod answered beyond doubt: with a prediction, or with an error as MLflow spells it.

    Anything else may also come from `kubectl proxy`, or from what stands before an API server.
    """
    spelt = b'"error_code"' in answer.content and not _is_proxy_error(answer)
    return answer.status_code == 200 or spelt


def _unread(pod: str, found: str) -> OutsideError:
    return OutsideError(
        f"server of pod {pod}",
        expected="an answer through the API server's proxy",
        found=found,
        next_step=f"run `kubectl describe pod {pod}` to see why, then run the same command again",
    )
