"""Bodies are read whole, or refused for their size, their slowness or a client that left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from serving.reception import GONE, NO_ROOM, TOO_SLOW, Room, discard_rest, read_body, too_large


def receiving(*messages: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """An ASGI `receive` that gives these messages, then waits for ever."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("messages", "declared", "expected"),
    [
        ([part(b"abc")], b"3", b"abc"),
        ([part(b"")], None, b""),
        ([part(b"ab", more=True), part(b"", more=True), part(b"cd")], None, b"abcd"),
        ([part(b"ab", more=True), part(b"cde")], None, too_large(4)),
        ([], b"5", too_large(4)),
        ([part(b"ab", more=True)], b"4", TOO_SLOW),
        ([part(b"ab", more=True), {"type": "http.disconnect"}], b"4", GONE),
    ],
)
def test_read_body(messages: list[dict[str, Any]], declared: bytes | None, expected: Any) -> None:
    room = Room(100)
    read = read_body(receiving(*messages), declared, limit=4, seconds=0.05, room=room)
    assert asyncio.run(read) == expected
    kept = len(expected) if isinstance(expected, bytes) else 0
    assert room.left == 100 - kept


def test_all_bodies_together_have_to_find_room() -> None:
    room = Room(5)

    def read(*parts: bytes) -> Any:
        messages = [part(each, more=True) for each in parts[:-1]] + [part(parts[-1])]
        return asyncio.run(read_body(receiving(*messages), None, limit=9, seconds=9, room=room))

    assert read(b"ab", b"c") == b"abc"
    assert read(b"de", b"f") is NO_ROOM
    assert read(b"de") == b"de"
    room.give_back(3)
    assert read(b"fgh") == b"fgh"
    assert room.left == 0


def test_the_rest_is_discarded_up_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = receiving(part(b"x", more=True), part(b"y"), part(b"of the next request"))
    monkeypatch.setattr("serving.reception.LINGER_SECONDS", 0.05)

    async def discard() -> bytes:
        await discard_rest(receive)
        left = (await receive())["body"]
        await discard_rest(receive)  # nothing comes any more: it gives up in time
        return bytes(left)

    assert asyncio.run(discard()) == b"of the next request"
