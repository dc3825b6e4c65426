"""One line of JSON about a request, for a share of them; never what was sent or answered."""

import json
import logging
import random
import time
from collections.abc import Callable

from serving.batching import Job

_logger = logging.getLogger("serving.requests")


def sampler(share: float) -> Callable[[], bool]:
    """A function that says yes for `share` (0 to 1) of its calls, at random."""
    if share <= 0:
        return lambda: False
    return lambda: random.random() < share  # noqa: S311  a sample, not a secret


def write(status: int, job: Job | None, body_bytes: int, seconds: float) -> None:
    """Log one answered request.

    Args:
        status: of the answer.
        job: what was predicted, None where the request was refused before.
        body_bytes: size of the request's body.
        seconds: from the request's headers to its answer.
    """
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "status": status,
        "body_bytes": body_bytes,
        "total_ms": round(seconds * 1000, 3),
    }
    if job is not None:
        line["wait_ms"] = round(job.wait * 1000, 3)
        line["merged_requests"] = job.merged
        line["path"] = "mlflow" if job.parsed is None else "fast"
    _logger.info("%s", json.dumps(line))
