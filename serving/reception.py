"""Reading a request's body: bounded in size, in time, and in the bytes held of all requests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from serving.protocol import TEXT, Answer

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

LINGER_SECONDS = 2.0
CLOSE = ((b"connection", b"close"),)
TOO_SLOW = Answer(408, b"The request body did not arrive in time", TEXT, CLOSE)
NO_ROOM = Answer(
    429, b"Too many bytes are waiting; try again", TEXT, ((b"retry-after", b"1"), *CLOSE)
)
GONE = Answer(499, b"", TEXT, CLOSE)  # the client left in mid-body; nobody reads this answer


def too_large(limit: int) -> Answer:
    """The answer to a body of more than `limit` bytes."""
    return Answer(413, f"The request body is larger than {limit} bytes".encode(), TEXT, CLOSE)


class Room:
    """How many bytes of bodies may still be held, of all requests together."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    def take(self, count: int) -> bool:
        """Take room for `count` bytes more; false, and nothing taken, where there is none."""
        fits = count <= self.left
        self.left -= count if fits else 0
        return fits

    def give_back(self, count: int) -> None:
        """Give back what was taken for `count` bytes."""
        self.left += count


async def read_body(
    receive: Receive, declared: bytes | None, *, limit: int, seconds: float, room: Room
) -> bytes | Answer:
    """The whole body, or the answer to a client whose body is too large, too slow or cut off.

    Room for a body that is returned is the caller's to give back.

    Args:
        receive: the ASGI callable.
        declared: the Content-Length header, None without one.
        limit: bytes.
        seconds: time for the whole body.
        room: for the bytes of all bodies that are being read or were, and are not answered.
    """
    if declared is not None and int(declared) > limit:  # a number: the HTTP parser saw to that
        return too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit, room)
    except TimeoutError:
        return TOO_SLOW


async def _read(receive: Receive, limit: int, room: Room) -> bytes | Answer:
    parts: list[bytes] = []
    more, taken = True, 0
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return GONE
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
            if taken + len(parts[-1]) > limit:
                return too_large(limit)
            if not room.take(len(parts[-1])):
                return NO_ROOM
            taken += len(parts[-1])
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        taken = 0
        return body
    finally:
        room.give_back(taken)


async def discard_rest(receive: Receive) -> None:
    """Read on for a moment, so that a client that still sends can read its answer."""
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            message = await receive()
            while message["type"] == "http.request" and message.get("more_body"):
                message = await receive()
    except TimeoutError:
        return
