"""What a server says of itself in `/metrics`, and what it cannot have counted."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_release.targets.kubernetes.canary_analysis import Sample
from model_release.targets.kubernetes.pod_figures import (
    Container,
    Exchange,
    contradiction,
    read_metrics,
    sample,
)

METRICS = """\
# HELP serving_requests_total Answers to /invocations by HTTP status.
# TYPE serving_requests_total counter
serving_requests_total{status="200"} 7.0
serving_requests_total{status="400"} 2.0
serving_requests_total{status="504"} 1.0
serving_stage_seconds_bucket{le="0.01",stage="total"} 4.0
serving_stage_seconds_bucket{le="0.025",stage="total"} 9.0
serving_stage_seconds_bucket{le="+Inf",stage="total"} 10.0
serving_stage_seconds_bucket{le="0.01",stage="wait"} 10.0
serving_model_info{digest="sha256:ab",name="a \\"b\\", c",release="r",version="2"} 1.0
"""
GOOD, ERROR = Exchange(0.01, 200, own=True), Exchange(0.02, 500, own=True)
PROXY = Exchange(0.001, 503, own=False)


def counts(good: int, errors: int = 0) -> Sample:
    return Sample(good + errors, errors, {0.01: good, math.inf: errors})


def exposition(good: int, errors: int = 0) -> str:
    return (
        f'serving_requests_total{{status="200"}} {good}\n'
        f'serving_requests_total{{status="500"}} {errors}\n'
        f'serving_stage_seconds_bucket{{le="0.01",stage="total"}} {good}\n'
        f'serving_stage_seconds_bucket{{le="+Inf",stage="total"}} {good + errors}\n'
    )


def test_counts_of_a_server() -> None:
    assert read_metrics(METRICS) == Sample(10, 3, {0.01: 4.0, 0.025: 5.0, math.inf: 1.0})
    assert read_metrics(exposition(7, 2)) == counts(7, 2)
    assert read_metrics("") == Sample(0, 0, {})


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('serving_requests_total{status="200"} nan', "serving_requests_total is 'nan'"),
        ('serving_requests_total{status="200"} -1.0', "serving_requests_total is '-1.0'"),
        ('serving_requests_total{status="200"} +Inf', r"serving_requests_total is '\+Inf'"),
        ('serving_requests_total{status="200"} ten', "serving_requests_total is 'ten'"),
        ('serving_stage_seconds_bucket{le="1",stage="total"} 1e999', "_bucket is '1e999'"),
        ('serving_stage_seconds_bucket{le="1",stage="total"} 2', "with 2 at 1 s, 9 below"),
        ('serving_stage_seconds_bucket{le="x",stage="total"} 9', "with 9 at nan s"),
        ('serving_stage_seconds_bucket{stage="total"} 9', "with 9 at nan s"),
    ],
)
def test_counts_that_no_server_has(line: str, found: str) -> None:
    below = 'serving_stage_seconds_bucket{le="0.5",stage="total"} 9\n'
    with pytest.raises(ValueError, match=found):
        read_metrics(f"{below}{line}\n")


@pytest.mark.parametrize(
    ("now", "seen", "said"),
    [
        (counts(10, 2), [], ""),
        (counts(11, 3), [GOOD, ERROR], ""),
        (counts(50, 9), [GOOD, ERROR], ""),
        (counts(11, 2), [GOOD, ERROR], "counted 0 errors, seen were 1"),
        (counts(12, 2), [GOOD, ERROR], "counted 0 errors, seen were 1"),
        (counts(11, 4), [GOOD, GOOD], "counted 1 answers with status 200, seen were 2"),
        (counts(10, 2), [PROXY, PROXY], ""),
        (counts(10, 1), [], "counted backwards: 12 requests with 2 errors became 11 .* with 1 e"),
        (counts(9, 3), [], "counted backwards: 12 requests with 2 errors became 12 .* with 3 e"),
        (Sample(13, 2, {0.01: 9, math.inf: 4}), [], "counted backwards"),
        (Sample(), [], "counted backwards: .* became 0 requests with 0 errors"),
        (Sample(20, 2, {0.01: 10, math.inf: 2}), [], ""),
        (Sample(12, 2, {0.01: 20, math.inf: 2}), [], ""),
    ],
)
def test_what_was_seen_is_counted(now: Sample, seen: list[Exchange], said: str) -> None:
    found = contradiction(counts(10, 2), now, seen)
    assert bool(found) == bool(said)
    assert re.match(said, found), found


def test_requests_and_histogram_may_differ_by_what_is_under_way() -> None:
    """Several workers are not read at one moment; by the next look each request is in both."""
    early, late = Sample(20, 0, {1.0: 25}), Sample(25, 0, {1.0: 20})
    assert contradiction(counts(20), Sample(25, 0, {0.01: 20, 1.0: 3}), []) == ""
    assert contradiction(early, Sample(25, 0, {1.0: 25}), []) == ""
    assert contradiction(early, Sample(24, 0, {1.0: 25}), []) == (
        "counted 24 requests, and 25 in its histogram"
    )
    assert contradiction(late, Sample(30, 0, {1.0: 24}), []) == (
        "counted 30 requests, and 24 in its histogram"
    )


batches = st.lists(
    st.tuples(
        st.lists(st.sampled_from([GOOD, ERROR, PROXY])), st.integers(0, 50), st.integers(0, 50)
    )
)


@given(batches)
def test_an_honest_server_is_never_doubted(ticks: list[tuple[list[Exchange], int, int]]) -> None:
    """Whatever is replayed to it, and whatever callers send besides."""
    container = Container()
    good = errors = 0
    assert container.read(exposition(0), answered=False) == ""
    for heard, callers, failed in ticks:
        container.heard += heard
        good += callers + heard.count(GOOD)
        errors += failed + heard.count(ERROR)
        assert container.read(exposition(good, errors), answered=container.settle()) == ""
    assert container.counted.errors == errors
    assert container.counted.requests == good + errors


def test_what_was_heard_before_the_first_counts_is_in_them() -> None:
    container = Container()
    container.heard += [GOOD, ERROR]
    assert container.read(None, answered=container.settle()) == ""
    assert container.read(exposition(1, 1), answered=container.settle()) == ""
    assert container.counted == Sample(0, 0, {0.01: 0, math.inf: 0})


def test_counts_that_were_not_told_once_are_compared_the_next_time() -> None:
    container = Container()
    container.read(exposition(0), answered=False)
    container.heard += [ERROR]
    assert container.read(None, answered=container.settle()) == ""
    container.heard += [GOOD]
    said = container.read(exposition(2), answered=container.settle())
    assert said == "counted 0 errors, seen were 1"


def test_a_server_that_answers_tells_its_counts() -> None:
    container = Container()
    for heard, said in (
        ([GOOD], ""),  # it may have gone between being listed and being asked
        ([PROXY], ""),
        ([], ""),
        ([PROXY, GOOD], "answers requests, but does not tell its counts"),
    ):
        container.heard += heard
        assert container.read(None, answered=container.settle()) == said


def test_a_proxys_error_counts_when_the_pod_has_answered_again() -> None:
    container = Container()
    container.heard += [GOOD, PROXY]
    container.settle()
    assert (container.seen, container.doubtful) == ([GOOD], [PROXY])
    container.settle()
    container.heard += [PROXY]
    container.settle()
    assert (container.seen, container.doubtful) == ([GOOD], [PROXY, PROXY])
    container.heard += [ERROR]
    container.settle()
    assert (container.seen, container.doubtful) == ([GOOD, PROXY, PROXY, ERROR], [])


def test_replayed_requests_in_the_terms_of_pods() -> None:
    assert sample([GOOD, GOOD, ERROR, PROXY]) == Sample(4, 2, {0.01: 2, 0.02: 1, 0.001: 1})
    assert sample([]) == Sample(0, 0, {})
