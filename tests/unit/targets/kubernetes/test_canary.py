"""What a canary's latency is judged by: callers where they are enough, else replayed requests."""

from typing import Any

import pytest
import requests

from model_release.answers import Tolerances
from model_release.config.kubernetes_settings import Canary
from model_release.identity import Identity
from model_release.targets import Deployment
from model_release.targets.kubernetes.canary import AnalysisRun
from model_release.targets.kubernetes.canary_analysis import Sample
from model_release.targets.kubernetes.traffic import Replay

CASES = [{"name": "row 0", "request": {}, "predictions": [1.0]}]


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


def test_latency_is_of_callers_or_of_replays_never_of_both() -> None:
    counted = Sample(100, 1, {0.1: 100}), Sample(50, 2, {0.2: 50})
    chosen = replay(CASES)
    chosen.seconds[0].extend([0.01, 0.01, 0.02])
    chosen.seconds[1].append(0.03)
    assert chosen.latencies(*counted) == counted
    chosen.judged = True
    first, second = chosen.latencies(*counted)
    assert first == Sample(100, 1, {0.01: 2, 0.02: 1})
    assert second == Sample(50, 2, {0.03: 1})
