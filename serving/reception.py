"""Reading a request's body: bounded in size and in time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from serving.protocol import TEXT, Answer

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

LINGER_SECONDS = 2.0
CLOSE = ((b"connection", b"close"),)
TOO_SLOW = Answer(408, b"The request body did not arrive in time", TEXT, CLOSE)
GONE = Answer(499, b"", TEXT, CLOSE)  # the client left in mid-body; nobody reads this answer


def too_large(limit: int) -> Answer:
    """The answer to a body of more than `limit` bytes."""
    return Answer(413, f"The request body is larger than {limit} bytes".encode(), TEXT, CLOSE)


async def read_body(
    receive: Receive, declared: bytes | None, *, limit: int, seconds: float
) -> bytes | Answer:
    """The whole body, or the answer to a client whose body is too large, too slow or cut off.

    Args:
        receive: the ASGI callable.
        declared: the Content-Length header, None without one.
        limit: bytes.
        seconds: time for the whole body.
    """
    if declared is not None and int(declared) > limit:  # a number: the HTTP parser saw to that
        return too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        return TOO_SLOW


async def _read(receive: Receive, limit: int) -> bytes | Answer:
    body = b""
    parts = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return GONE
        body = message.get("body", b"")
        size += len(body)
        if size > limit:
            return too_large(limit)
        parts.append(body)
        more = message.get("more_body", False)
    return body if len(parts) == 1 else b"".join(parts)


async def discard_rest(receive: Receive) -> None:
    """Read on for a moment, so that a client that still sends can read its answer."""
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            message = await receive()
            while message["type"] == "http.request" and message.get("more_body"):
                message = await receive()
    except TimeoutError:
        return
