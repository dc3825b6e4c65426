"""Request lines are sampled JSON and quote nothing of the request."""

import json
import logging

import pytest

from serving import request_log
from serving.batching import Job


def test_the_sample_is_a_share_of_the_requests() -> None:
    never, always, half = (request_log.sampler(share) for share in (0, 1, 0.5))
    assert not any(never() for _ in range(100))
    assert all(always() for _ in range(100))
    assert 350 < sum(half() for _ in range(1000)) < 650


def test_a_line_tells_what_happened_but_not_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(b"secret", "secret/type", None)
    job.wait = 0.0015
    with caplog.at_level(logging.INFO, "serving.requests"):
        request_log.write(200, job, len(job.body), 0.25)
        request_log.write(413, None, 0, 0.001)
    first, second = (json.loads(record.getMessage()) for record in caplog.records)
    first.pop("time")
    assert first == {
        "status": 200,
        "body_bytes": 6,
        "total_ms": 250.0,
        "wait_ms": 1.5,
        "merged_requests": 1,
        "path": "mlflow",
    }
    assert set(second) == {"time", "status", "body_bytes", "total_ms"}
