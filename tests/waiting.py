"""Waiting for what happens some time later: tests wait for a condition, never for a time."""

import time
from collections.abc import Callable


def until(
    condition: Callable[[], object],
    *,
    seconds: float,
    every: float = 0.1,
    shown: Callable[[], object] = str,
) -> None:
    """Wait for a condition; AssertionError where it does not come true in time.

    Args:
        condition: looked at again and again.
        seconds: how long, on a machine that has everything else to do as well.
        every: seconds between two looks.
        shown: what a failure shows, such as a log.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds:g} s: {shown()}"
        time.sleep(every)
