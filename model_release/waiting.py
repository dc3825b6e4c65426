"""Waiting with a bound: for a condition, and for a call that may succeed later."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def polls(seconds: float, *, every: float) -> Iterator[None]:
    """One turn of a `for` loop at once, and one every `every` seconds until `seconds` are over.

    The loop looks, and leaves with `return` or `break` once it has seen what it waits for. What
    comes behind the loop says that it was not so in time, by what was seen last.
    """
    deadline = time.monotonic() + seconds
    yield
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(every, left))
        yield


def retry(call: Callable[[], T], error: type[Exception], seconds: float, *, every: float) -> T:
    """The answer of `call`, made again every `every` seconds while it raises `error`.

    Raises:
        Exception: what `call` raised at its first try after `seconds`, or another than `error`.
    """
    import tenacity  # a tenth of a second, which many a command does not need

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(error),
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(every),
        reraise=True,
    )
    return retrying(call)
