"""Waiting for what happens some time later."""

import time
from collections.abc import Callable

PAUSE_SECONDS = 0.1


def until(condition: Callable[[], object], *, seconds: float) -> None:
    """Wait for a condition; AssertionError where it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds:g} s"
        time.sleep(PAUSE_SECONDS)
