"""The exposition names outcomes, stages and the model."""

from serving.context import ServedRelease
from serving.metrics import Metrics


def test_counts_are_exposed() -> None:
    metrics = Metrics(ServedRelease("iris", "3", "sha256:ab", "run", batching=True))
    for status in (200, 200, 413):
        metrics.answered(status)
    metrics.wait(0.003)
    metrics.batch_requests(7)
    metrics.queue(5)
    text = metrics.text().decode().splitlines()
    for line in (
        'serving_requests_total{status="200"} 2.0',
        'serving_requests_total{status="413"} 1.0',
        'serving_requests_total{status="504"} 0.0',
        'serving_stage_seconds_bucket{le="0.0025",stage="wait"} 0.0',
        'serving_stage_seconds_bucket{le="0.005",stage="wait"} 1.0',
        'serving_batch_requests_bucket{le="8.0"} 1.0',
        "serving_queue_requests 5.0",
        'serving_model_info{digest="sha256:ab",name="iris",release="run",version="3"} 1.0',
    ):
        assert line in text
