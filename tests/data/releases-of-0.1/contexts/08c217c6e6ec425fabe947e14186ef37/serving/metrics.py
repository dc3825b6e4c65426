"""What `GET /metrics` answers, in Prometheus' text format, also summed over several workers.

prometheus-client decides at its import whether values are shared: by an environment variable.
"""

import os
import tempfile
from typing import TYPE_CHECKING

from serving.context import Release

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def share() -> str:
    """Have the processes that are started from now on share their counts in a new folder."""
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="serving-metrics-")
    return os.environ[_FOLDER]


class Metrics:
    """The counts of this process. Every `observe` is cheap enough for each request."""

    def __init__(self, release: Release) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._requests = Counter(
            "serving_requests",
            "Answers to /invocations by HTTP status.",
            ["status"],
            registry=self._registry,
        )
        stages = Histogram(
            "serving_stage_seconds",
            "Time by stage: wait, parse and total once a request; predict, serialize once a batch.",
            ["stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.wait = stages.labels("wait").observe
        self.parse = stages.labels("parse").observe
        self.predict = stages.labels("predict").observe
        self.serialize = stages.labels("serialize").observe
        self.total = stages.labels("total").observe
        self.batch_requests = Histogram(
            "serving_batch_requests",
            "Requests answered by one prediction.",
            buckets=_SIZES,
            registry=self._registry,
        ).observe
        self.batch_rows = Histogram(
            "serving_batch_rows",
            "Rows in one merged prediction.",
            buckets=_SIZES,
            registry=self._registry,
        ).observe
        self.queue = Gauge(
            "serving_queue_requests",
            "Requests that wait for a prediction to begin.",
            multiprocess_mode="livesum",
            registry=self._registry,
        ).set
        _tell_model(release, self._registry)
        self._status = {
            code: self._requests.labels(str(code)).inc for code in (200, 400, 429, 500, 504)
        }

    def answered(self, status: int) -> None:
        """Count one answer to /invocations."""
        count = self._status.get(status)
        if count is None:
            count = self._status[status] = self._requests.labels(str(status)).inc
        count()

    def text(self) -> bytes:
        """The exposition, of all workers together where there are several."""
        from prometheus_client import generate_latest

        return generate_latest(self._all())

    def _all(self) -> "CollectorRegistry":
        if _FOLDER not in os.environ:
            return self._registry
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry


def _tell_model(release: Release, registry: "CollectorRegistry") -> None:
    """Register the metric whose labels say which model this is."""
    from prometheus_client import Gauge

    Gauge(
        "serving_model_info",
        "The model that is served; the value is 1.",
        ["name", "version", "digest", "release"],
        multiprocess_mode="max",
        registry=registry,
    ).labels(release.model, release.version, release.digest, release.release).set(1)
