"""What two versions answer while both serve: their `/metrics`, and replayed golden requests.

The counts are the servers' own, so they hold every caller's requests; where callers are few, the
golden requests are replayed to both, in turn, so that whatever slows this cluster slows both. Then
latency is that of the replayed requests alone: callers keep their connections to the stable pods,
and what they ask is not what is replayed, so that a mixture would not be the same for both.
"""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import requests

from model_release.answers import Tolerances, first_difference
from model_release.errors import OutsideError
from model_release.smoke import Case
from model_release.targets.kubernetes.canary_analysis import Sample
from model_release.targets.kubernetes.manifests import CANARY, NAME, STABLE
from model_release.targets.kubernetes.pods import pod_url
from model_release.targets.kubernetes.rollout import Pod, by_track

TICK_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
REPLAYERS = 4
"""Requests that are under way at once in a replay; each waits for both versions in turn."""

LINE = re.compile(r"^(\w+)\{([^}]*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


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


def read_metrics(text: str) -> Sample:
    """Counts of a server since its start, from its Prometheus exposition."""
    answers = errors = 0.0
    cumulated: dict[float, float] = {}
    for name, labelled, value in LINE.findall(text):
        labels = dict(LABEL.findall(labelled))
        if name == "serving_requests_total":
            answers += float(value)
            errors += float(value) if labels["status"] != "200" else 0
        if name == "serving_stage_seconds_bucket" and labels["stage"] == "total":
            cumulated[float(labels["le"])] = float(value)
    latency, below = {}, 0.0
    for bound, count in sorted(cumulated.items()):
        latency[bound] = count - below
        below = count
    return Sample(answers, errors, latency)


@dataclass
class Group:
    """The pods of one version, and what they have answered since they were first looked at."""

    pods: list[Pod] = field(default_factory=list)
    _first: dict[tuple[str, int], Sample] = field(default_factory=dict)
    _last: dict[tuple[str, int], Sample] = field(default_factory=dict)

    def look(self, session: requests.Session, base: str, pods: Sequence[Pod]) -> None:
        """Read the counts of the pods that serve now; those that went keep their last."""
        self.pods = [pod for pod in pods if pod.ready and not pod.ending]
        for pod in self.pods:
            key = (pod.uid, pod.restarts)  # a container that starts anew counts anew
            try:
                answer = session.get(f"{pod_url(base, pod.name)}/metrics", timeout=TIMEOUT_SECONDS)
            except requests.RequestException as error:
                raise _unread(pod.name, f"{type(error).__name__}: {error}") from error
            if answer.status_code == 200:
                sample = read_metrics(answer.text)
                self._first.setdefault(key, sample)
                self._last[key] = sample
            elif _is_proxy_error(answer):
                continue  # the pod has gone between being listed and being asked
            else:
                raise _unread(pod.name, f"status {answer.status_code}: {answer.text[:200]}")

    @property
    def sample(self) -> Sample:
        """What they have answered since they were first looked at."""
        return sum(
            (self._last[key] - self._first[key] for key in self._last), start=Sample(0, 0, {})
        )


@dataclass
class Replay:
    """Golden requests to the pods of two versions, in turn.

    Args:
        session: open connections.
        base: base URL of the API server's proxy for the namespace.
        cases: golden cases.
        tolerances: for their predictions.
        a_second: how many to send to each version; None while callers alone are counted.
        judged: whether latency is judged by them.
        turn: how many were sent.
        differences: what the second version has answered otherwise than validated.
        seconds: how long each answer took, of the first and of the second version.
    """

    session: requests.Session
    base: str
    cases: Sequence[Case]
    tolerances: Tolerances
    a_second: int | None = None
    judged: bool = False
    turn: int = 0
    differences: list[str] = field(default_factory=list)
    seconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    def latencies(self, first: Sample, second: Sample) -> tuple[Sample, Sample]:
        """What both versions have answered, with the latency that they are judged by."""
        if not self.judged:
            return first, second
        one, other = (dict(Counter(times)) for times in self.seconds)
        return replace(first, latency=one), replace(second, latency=other)

    def _ask(self, pod: str, case: Case) -> str:
        """Send a case to a pod; say how its predictions differ, or "".

        An answer other than 200 is no difference: the pod has counted it as an error.
        """
        url = f"{pod_url(self.base, pod)}/invocations"
        try:
            answer = self.session.post(url, json=case["request"], timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise _unread(pod, f"{type(error).__name__}: {error}") from error
        if answer.status_code != 200:
            return ""
        found: object = answer.json()
        found = found.get("predictions") if isinstance(found, Mapping) else found
        different = first_difference(case["predictions"], found, self.tolerances)
        return f"golden prediction {case['name']}: {different}" if different else ""

    def both(self, first: Group, second: Group, until: float) -> None:
        """Send a second's requests to each group, the same to both.

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
            pods = groups[which].pods
            begun = time.perf_counter()
            different = self._ask(pods[rounds % len(pods)].name, self.cases[number])
            self.seconds[which].append(time.perf_counter() - begun)
            if different and which == 1:
                self.differences.append(different)


def _is_proxy_error(answer: requests.Response) -> bool:
    """Whether the API server answered in the pod's place."""
    return '"kind":"Status"' in answer.text or "error trying to reach" in answer.text


def _unread(pod: str, found: str) -> OutsideError:
    return OutsideError(
        f"server of pod {pod}",
        expected="an answer through the API server's proxy",
        found=found,
        next_step=f"run `kubectl describe pod {pod}` to see why, then run the same command again",
    )
