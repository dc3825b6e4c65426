"""Overload and slow clients are answered, as documented in `serving/settings.py`."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.serving.conftest import Hold, held_row
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("serving-processes"), pytest.mark.long]


def raw(port: int, *parts: bytes) -> bytes:
    """What the server says to these bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


FREE = held_row()
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_a_full_queue_is_answered_429_and_recovers(new_client: Any, start: Any, hold: Hold) -> None:
    port = start("held", SERVING_QUEUE_MAX_REQUESTS="2", SERVING_BATCH_MAX_ROWS="1").port
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(new_client().send, port, hold.body)]
        hold.wait_until_begun()
        sent += [pool.submit(new_client().send, port, hold.body) for _ in range(7)]
        until(lambda: sum(each.done() for each in sent) >= 5, seconds=60)
        hold.let_go()
    replies = [each.result() for each in sent]
    assert sorted(reply.status for reply in replies) == [200] * 3 + [429] * 5
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.headers["retry-after"] == "1"
    assert new_client().send(port, FREE).status == 200


def test_what_takes_too_long_is_504_and_the_next_is_answered(
    client: Any, start: Any, hold: Hold
) -> None:
    port = start("held", SERVING_REQUEST_TIMEOUT_SECONDS="0.5").port
    reply = client.send(port, hold.body)
    assert (reply.status, reply.body) == (504, b"Request processing time exceeded limit")
    hold.let_go()
    until(lambda: client.send(port, FREE).status == 200, seconds=60)


def test_bodies_are_limited_in_size_and_time(client: Any, start: Any) -> None:
    server = start(
        "held",
        SERVING_MAX_BODY_BYTES="1000",
        SERVING_REQUEST_TIMEOUT_SECONDS="3",
        SERVING_HEADER_TIMEOUT_SECONDS="1",
    )
    port = server.port
    fits = FREE.ljust(1000)
    assert client.send(port, fits).status == 200
    reply = client.send(port, fits + b" ")
    assert (reply.status, reply.body) == (413, b"The request body is larger than 1000 bytes")
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert raw(port, chunked, *[chunk] * 20, b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert raw(port, HEAD + b"Content-Length: 10\r\n\r\n{").startswith(b"HTTP/1.1 408 ")
    before = time.monotonic()
    assert raw(port, HEAD) == b"", "slow headers"
    assert raw(port) == b"", "no headers at all"
    assert time.monotonic() - before < 10
    expecting = HEAD + b"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
    assert raw(port, expecting).startswith(b"HTTP/1.1 413 ")
    assert client.send(port, fits).status == 200
    assert server.process.poll() is None


def test_bodies_that_wait_are_limited_together(client: Any, start: Any) -> None:
    port = start("held", SERVING_MAX_HELD_BYTES="1500").port
    head = HEAD + b"Content-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as slowly:
        slowly.sendall(head + b" " * 999)
        until(lambda: client.send(port, FREE.ljust(1000)).status == 429, seconds=60)
        answer = raw(port, head + b" " * 1000)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nretry-after: 1\r\n" in answer
    until(lambda: client.send(port, FREE.ljust(1000)).status == 200, seconds=60)


TRAILERS = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


NO_BODIES = (
    (b"GET /ping HTTP/1.1\r\nHost: x\r\n", b"X: " + b"x" * 1000 + b"\r\n"),
    (b"GET /ping HTTP/1.1\r\nHost: ", b"x" * 1000),
    (b"GET /", b"x" * 1000),
    (HEAD + TRAILERS, b"X: " + b"x" * 1000 + b"\r\n"),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
)
"""Headers, one header, an address, trailers, a chunk's extension: each the beginning, and more."""


def test_what_is_no_body_is_limited_too(client: Any, start: Any) -> None:
    port = start("held").port
    for head, more in NO_BODIES:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(head)
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                _send_until(connection, more, time.monotonic() + 10)
    assert client.send(port, FREE).status == 200


def test_an_endless_body_ends(start: Any) -> None:
    port = start("held", SERVING_MAX_BODY_BYTES="100000").port
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        deadline = time.monotonic() + 10
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            _send_until(connection, chunk, deadline)


def _send_until(connection: socket.socket, chunk: bytes, deadline: float) -> None:
    while time.monotonic() < deadline:
        connection.sendall(chunk)
