"""A canary is judged by what is seen of it, and refused where its own figures deny that."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from model_release.config.kubernetes_settings import Canary
from model_release.errors import OutsideError
from model_release.identity import Identity
from model_release.targets import Deployment
from model_release.targets.kubernetes import canary
from model_release.targets.kubernetes.canary import AnalysisRun, canary_table
from model_release.targets.kubernetes.canary_analysis import Decision
from model_release.targets.kubernetes.manifests import CANARY, STABLE
from tests.hostile.api_servers import ApiServer, api_server
from tests.hostile.serving_processes import ENVIRONMENT, HERE, served

pytestmark = [pytest.mark.xdist_group("hostile-canary"), pytest.mark.long]

CASES = [
    {
        "name": f"row {number}",
        "request": {"dataframe_split": {"columns": ["a"], "data": [[number]]}},
        "predictions": [2.0 * number],
    }
    for number in range(3)
]
DEPLOYMENT = Deployment(Identity("lying", "7", "sha256:0", "r"), cases=CASES)
WIDE = {"min_requests": 20, "max_error_rate_increase": 0.1, "max_latency_ratio": 1000}
"""Nothing but what a test is about decides, on a machine that is busy."""


class Version(NamedTuple):
    """A running server of one version."""

    port: int
    lie: Path


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Version, Version]]:
    """The stable version, with two workers, and the canary, with one."""
    folder = tmp_path_factory.mktemp("lying")
    context = folder / "context"
    context.mkdir()
    command = [sys.executable, str(HERE / "lying_model.py"), str(context)]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=240)
    with ExitStack() as stack:
        found = []
        for name, workers in (("stable", "2"), ("canary", "1")):
            (folder / name).write_text("")
            settings = {"LIE": str(folder / name), "SERVING_WORKERS": workers}
            server = stack.enter_context(served(context, folder / f"{name}.log", **settings))
            found.append(Version(server.port, folder / name))
        yield found[0], found[1]


@pytest.fixture
def cluster(
    versions: tuple[Version, Version], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ApiServer]:
    """Both versions as pods, honest to begin with, looked at ten times a second."""
    monkeypatch.setattr(canary, "TICK_SECONDS", 0.1)
    stable, new = versions
    for each in versions:
        each.lie.write_text("")
    pods = {"stable-1": (STABLE, stable.port), "stable-2": (STABLE, stable.port)}
    with api_server({**pods, "canary-1": (CANARY, new.port)}) as server:
        yield server


def measured(
    cluster: ApiServer, seconds: float, told: Callable[[str], None] = str, **settings: float
) -> Decision:
    """Run the analysis of the canary, at most for so long."""
    wanted = Canary(**{**WIDE, "load_per_second": 50, "duration_seconds": seconds, **settings})
    return AnalysisRun("lying", cluster.base, DEPLOYMENT, wanted, told, lambda: None).measure()


def decided(
    cluster: ApiServer, told: Callable[[str], None] = str, load_per_second: float = 50
) -> Decision:
    """Measure until there is a decision: a busy machine may answer too little at first."""
    for _ in range(9):
        found = measured(cluster, 3, told, load_per_second=load_per_second)
        if found.verdict != "inconclusive":
            break
    return found


@contextmanager
def callers(versions: tuple[Version, Version]) -> Iterator[None]:
    """Two callers of each server, who ask one request after another."""
    done = threading.Event()

    def call(port: int) -> None:
        with requests.Session() as session:
            while not done.is_set():
                session.post(f"http://127.0.0.1:{port}/invocations", json=CASES[0]["request"])

    threads = [threading.Thread(target=call, args=(each.port,)) for each in versions * 2]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_an_honest_canary_is_promoted(cluster: ApiServer) -> None:
    decision = decided(cluster)
    assert decision.verdict == "promote", decision
    found = {row[0]: row[-2:] for row in canary_table(decision).rows}
    assert found == {
        "error rate": ("promote", "the pods"),
        "error rate of replayed requests": ("promote", "the replay"),
        "median latency of replayed requests": ("promote", "the replay"),
        "p95 latency of replayed requests": ("promote", "the replay"),
    }


def test_an_honest_canary_under_callers_is_promoted(
    cluster: ApiServer, versions: tuple[Version, Version]
) -> None:
    lines: list[str] = []
    with callers(versions):
        decision = decided(cluster, lines.append, load_per_second=0.5)
    assert decision.verdict == "promote", decision
    assert "judged by these" in lines[-1]
    assert sum(each.seen_by == "the replay" for each in decision.comparisons) == 3


def test_an_honest_canary_with_errors_is_refused_by_its_own_counts(
    cluster: ApiServer, versions: tuple[Version, Version]
) -> None:
    versions[1].lie.write_text("errors")
    decision = measured(cluster, 6)
    assert decision.verdict == "abort"
    assert re.match(r"error rate \d+\.\d+%, stable 0\.00%", decision.reason)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("denied", r"pod canary-1 counted 0 errors, seen were \d+$"),
        ("inflated", r"error rate of replayed requests \d+\.\d+%, stable 0\.00%; "),
        ("disguised", r"error rate of replayed requests \d+\.\d+%, stable 0\.00%; "),
        ("nothing", r"pod canary-1 counted 0 answers with status 200, seen were \d+$"),
        ("backwards", r"pod canary-1 counted backwards: \d+ requests with \d+ errors became \d+"),
        ("diluted", r"pod canary-1 counted \d+ requests, and [0-9e.+]+ in its histogram$"),
        ("nan", "pod canary-1 tells impossible counts: serving_requests_total is 'NaN'$"),
        ("negative", "pod canary-1 tells impossible counts: serving_requests_total is '-1'$"),
        ("words", "pod canary-1 tells impossible counts: serving_requests_total is 'many'$"),
        ("mute", "pod canary-1 answers requests, but does not tell its counts$"),
        ("babble", r"golden prediction row \d: predictions: '\[\["),
    ],
)
def test_a_canary_that_lies_about_itself_is_refused(
    cluster: ApiServer, versions: tuple[Version, Version], lie: str, reason: str
) -> None:
    versions[1].lie.write_text(lie)
    decision = measured(cluster, 6)
    assert decision.verdict == "abort", decision
    assert re.match(reason, decision.reason), decision.reason


def test_a_canary_that_seems_gone_is_refused_while_it_is_there(
    cluster: ApiServer, versions: tuple[Version, Version]
) -> None:
    """It answers as if the API server could not reach it, and counts good answers."""

    def begin(line: str) -> None:
        if line.startswith("callers send"):
            versions[1].lie.write_text("gone")

    decision = measured(cluster, 3, begin)
    assert decision.verdict == "abort", decision
    assert decision.reason.startswith("error rate of replayed requests 100.00%, stable 0.00%; ")


def test_a_slow_canary_whose_histogram_says_fast_is_refused_where_callers_decide(
    cluster: ApiServer, versions: tuple[Version, Version]
) -> None:
    versions[1].lie.write_text("fast")
    with callers(versions):
        decision = measured(cluster, 15, load_per_second=0.5, max_latency_ratio=1.5)
    assert decision.verdict == "abort", decision
    assert "latency of replayed requests" in decision.reason
    (own,) = (each for each in decision.comparisons if each.name == "median latency")
    assert own.canary < 0.1, "so it says itself"


def test_a_canary_does_not_choose_itself_what_it_is_judged_by(
    cluster: ApiServer, versions: tuple[Version, Version]
) -> None:
    """It says that many callers ask it, so that little is replayed; the stable pods have none."""
    lines: list[str] = []
    versions[1].lie.write_text("boasts")
    decision = decided(cluster, lines.append)
    assert "replaying golden requests" in lines[-1]
    assert decision.verdict == "promote", "nobody can tell how many callers it had"


def test_a_stable_pod_that_lies_is_nothing_to_compare_with(
    cluster: ApiServer, versions: tuple[Version, Version]
) -> None:
    versions[0].lie.write_text("nan")
    with pytest.raises(OutsideError, match=r"stable pod stable-1.* found it tells impossible cou"):
        measured(cluster, 6)


def test_pods_that_go_have_not_lied(cluster: ApiServer, versions: tuple[Version, Version]) -> None:
    """Evicted pods are listed as ready for a while; the API server answers in their place."""
    cluster.pods["canary-2"] = cluster.pods["canary-1"]
    cluster.listed.add("canary-2")

    def leave(line: str) -> None:
        if line.startswith("callers send"):
            for name in ("stable-2", "canary-2"):
                cluster.pods[name] = (cluster.pods[name][0], 0)

    decision = decided(cluster, leave)
    assert cluster.listed == {"stable-1", "canary-1"}, "there were requests to both that went"
    assert decision.verdict == "promote", decision
