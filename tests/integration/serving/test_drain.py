"""SIGTERM loses no request, and a socket goes from one process to the next without a gap."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.serving.conftest import Hold
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("serving-processes"), pytest.mark.long]

ROW = json.dumps({"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}).encode()


def refuses(port: int) -> bool:
    """Whether nothing listens there; a reset is a connection that the listener's end cut off."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except ConnectionResetError:
        return False
    except ConnectionRefusedError:
        return True
    return False


def test_what_is_in_flight_is_answered_and_readiness_goes(
    new_client: Any, start: Any, hold: Hold
) -> None:
    server = start("held", SERVING_DRAIN_LISTEN_SECONDS="5", SERVING_DRAIN_IDLE_SECONDS="0.3")
    idle, ready, looking = new_client(), new_client(), new_client()
    assert ready.send(server.port, path="/ready").json() == {"ready": True}
    assert idle.send(server.port, path="/ping").headers.get("connection") is None
    replies: list[Any] = []
    own = new_client()
    flight = threading.Thread(target=lambda: replies.append(own.send(server.port, hold.body)))
    flight.start()
    hold.wait_until_begun()
    server.process.send_signal(signal.SIGTERM)
    until(lambda: looking.send(server.port, path="/ready").status == 503, seconds=60, every=0.01)
    for each in (ready, new_client()):  # a kept connection and a new one
        reply = each.send(server.port, path="/ready")
        assert (reply.status, reply.headers["connection"]) == (503, "close")
    hold.let_go()
    flight.join(timeout=20)
    assert replies[0].status == 200
    assert replies[0].headers["connection"] == "close"
    assert server.process.wait(timeout=60) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_told_that_its_end_is_near_it_is_not_ready_and_goes_on_serving(
    new_client: Any, start: Any
) -> None:
    server = start("doubles", SERVING_DRAIN_IDLE_SECONDS="0.1")
    kept = new_client()
    assert kept.send(server.port, ROW).headers.get("connection") is None
    server.process.send_signal(signal.SIGUSR1)
    until(lambda: new_client().send(server.port, path="/ready").status == 503, seconds=120)
    for each in (kept, new_client()):
        reply = each.send(server.port, ROW)
        assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=60) == 0


def test_a_request_on_a_kept_connection_is_answered_during_the_drain(
    new_client: Any, start: Any
) -> None:
    server = start("doubles", SERVING_DRAIN_IDLE_SECONDS="600")
    kept = new_client()
    assert kept.send(server.port, ROW).status == 200
    server.process.send_signal(signal.SIGTERM)
    until(lambda: refuses(server.port), seconds=60)
    reply = kept.send(server.port, ROW)
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    # far from the 600 s that it waits for those that have not been told to close
    assert server.process.wait(timeout=120) == 0


def test_an_inherited_socket_is_handed_over_without_a_failed_request(
    new_client: Any, contexts: Path
) -> None:
    """Two processes after one another on one socket, under a constant stream of new connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        failures: list[str] = []
        answered = [0, 0]
        stop = threading.Event()
        streams = [
            threading.Thread(
                target=_stream, args=(new_client(), port, kept, stop, answered, failures)
            )
            for kept in (True, False)
        ]
        with _serving(contexts / "doubles", listening) as first:
            for stream in streams:
                stream.start()
            with _serving(contexts / "doubles", listening) as second:
                first.send_signal(signal.SIGTERM)
                assert first.wait(timeout=60) == 0
                counted = list(answered)
                until(
                    lambda: all(n > c + 20 for n, c in zip(answered, counted, strict=True)),
                    seconds=120,
                )
                stop.set()
                for stream in streams:
                    stream.join(timeout=30)
                second.send_signal(signal.SIGTERM)
                assert second.wait(timeout=60) == 0
    assert failures == []
    assert min(answered) > 40


@contextlib.contextmanager
def _serving(context: Path, listening: socket.socket) -> "Iterator[subprocess.Popen[bytes]]":
    """A server process on an inherited socket, once it says that it serves."""
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-m", "serving", "--fd", str(listening.fileno())],
        cwd=context,
        env={**os.environ, "PYTHONPATH": str(root), "SERVING_DRAIN_IDLE_SECONDS": "0.5"},
        pass_fds=[listening.fileno()],
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        try:
            while b"serving model" not in (line := process.stderr.readline()):
                assert line, "it ended"
            yield process
        finally:
            process.kill()


def _stream(
    own: Any,
    port: int,
    kept: bool,
    stop: threading.Event,
    answered: list[int],
    failures: list[str],
) -> None:
    while not stop.is_set():
        try:
            reply = own.send(port, ROW)
            if reply.status != 200:
                failures.append(f"{reply.status} {reply.body!r}")
        except OSError as error:
            failures.append(repr(error))
        answered[kept] += 1
        if not kept:
            own.close()
        stop.wait(0.005)
