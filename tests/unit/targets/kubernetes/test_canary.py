"""What a canary is judged by: callers where they are enough, and replayed requests."""

from typing import Any

import pytest
import requests

from model_release.answers import Tolerances
from model_release.config.kubernetes_settings import Canary
from model_release.identity import Identity
from model_release.targets import Deployment
from model_release.targets.kubernetes.canary import AnalysisRun, _callers
from model_release.targets.kubernetes.canary_analysis import Sample
from model_release.targets.kubernetes.pod_figures import Exchange
from model_release.targets.kubernetes.rollout import Pod
from model_release.targets.kubernetes.traffic import Group, Replay

CASES = [{"name": "row 0", "request": {}, "predictions": [1.0]}]


def pod(name: str, restarts: int = 0) -> Pod:
    return Pod(name, name, "Running", True, False, restarts, "", "", "", None)


def replay(cases: list[Any]) -> Replay:
    return Replay(requests.Session(), "http://127.0.0.1", cases, Tolerances())


def analysis_run(cases: list[Any], lines: list[str], load_per_second: float = 10.0) -> AnalysisRun:
    deployment = Deployment(Identity("iris", "2", "sha256:0", "r"), cases=cases)
    settings = Canary(load_per_second=load_per_second)
    return AnalysisRun("iris", "http://127.0.0.1", deployment, settings, lines.append, lambda: None)


@pytest.mark.parametrize(
    ("callers", "load_per_second", "cases", "judged", "a_second"),
    [
        (0.0, 10.0, CASES, True, 10),
        (9.9, 10.0, CASES, True, 10),
        (10.0, 10.0, CASES, False, 1),
        (500.0, 0.5, CASES, False, 1),
        (0.0, 0.5, CASES, True, 1),
        (0.0, 0.0, CASES, False, 0),
        (0.0, 10.0, [], False, 0),
    ],
)
def test_few_callers_are_helped_out(
    callers: float, load_per_second: float, cases: list[Any], judged: bool, a_second: int
) -> None:
    lines: list[str] = []
    chosen = replay(cases)
    analysis_run(cases, lines, load_per_second)._choose(chosen, callers)
    assert (chosen.judged, chosen.a_second) == (judged, a_second)
    (line,) = lines
    assert line.endswith("replaying golden requests to both" if judged else "judged by these")


def group(pods: int, counted: float) -> Group:
    made = Group([pod(str(number)) for number in range(pods)])
    for each in made.pods:
        known = made.container(each)
        known.first, known.last = Sample(), Sample(counted / pods)
    return made


@pytest.mark.parametrize(
    ("stable", "new", "callers"),
    [
        ((2, 200), (1, 90), 90),
        ((2, 200), (1, 5000), 100),
        ((4, 200), (2, 5000), 100),
        ((2, 0), (1, 5000), 0),
    ],
)
def test_a_canary_has_no_more_callers_than_its_share(
    stable: tuple[int, float], new: tuple[int, float], callers: float
) -> None:
    assert _callers(group(*stable), group(*new)) == callers


def test_what_was_replayed_to_pods_that_went_is_known_to_the_end() -> None:
    known = Group([pod("a"), pod("b")])
    good, doubtful = Exchange(0.1, 200, own=True), Exchange(0.1, 503, own=False)
    for each in known.pods:
        known.container(each).heard += [good, doubtful]
        known.container(each).settle()
    assert known.seen(at_end=False) == Sample(2, 0, {0.1: 2})
    del known.pods[0]
    assert known.seen(at_end=True) == Sample(3, 1, {0.1: 3}), "one is gone, one is still there"


def test_a_container_that_starts_anew_counts_anew() -> None:
    known = Group()
    before = known.container(pod("a"))
    assert known.container(pod("a")) is before
    assert known.container(pod("a", restarts=1)) is not before
