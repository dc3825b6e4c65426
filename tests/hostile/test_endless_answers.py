"""A model's server that answers without end, or at great length, to the pipeline that asks it."""

import resource
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from model_release.answers import Tolerances
from model_release.bounded_session import MAX_BYTES, BoundedSession
from model_release.errors import OutsideError
from model_release.smoke import ask_identity, check_server

MIB = 2**20
CASE = {"name": "case", "request": {"inputs": [1]}, "predictions": [1]}


class Handler(BaseHTTPRequestHandler):
    """Answers every path with what its kind of server does."""

    protocol_version = "HTTP/1.1"
    kind = ""

    def do_GET(self) -> None:
        if self.kind == "many values":
            self._whole(b"[" + b"[]," * 8_000_000 + b"1]")
            return
        if self.kind == "honest":
            self._whole(b"[" + b"1234567," * 1_000_000 + b"1]")
            return
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        piece, pause = (b"x" * MIB, 0.0) if self.kind == "endless" else (b"x", 0.02)
        while not self.server.stopped.is_set():  # type: ignore[attr-defined]
            try:
                self.wfile.write(piece)
            except OSError:
                return
            time.sleep(pause)

    def do_POST(self) -> None:
        self.do_GET()

    def _whole(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a server of the test's kind answers."""
    handler = type("Kind", (Handler,), {"kind": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.stopped = threading.Event()  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.stopped.set()  # type: ignore[attr-defined]
        server.shutdown()


def peak() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("endless", "an answer of more than 33,554,432 bytes"),
        ("dripping", "an answer that does not end in time"),
        ("many values", "an answer of more than 2,097,152 values"),
    ],
    indirect=["address"],
)
def test_such_an_answer_is_given_up(address: str, found: str) -> None:
    before = peak()
    with BoundedSession() as session, pytest.raises(requests.RequestException, match=found):
        session.get(address, timeout=1)
    with pytest.raises(OutsideError, match=found):
        ask_identity(address, timeout=1)
    assert peak() - before < 8 * MAX_BYTES


@pytest.mark.parametrize("address", ["endless", "many values"], indirect=True)
def test_the_smoke_test_ends_in_one_line(address: str) -> None:
    with pytest.raises(OutsideError, match="found RequestException: an answer of more than"):
        check_server(address, None, [CASE], Tolerances(), None)


@pytest.mark.parametrize("address", ["honest"], indirect=True)
def test_a_long_answer_is_read_as_before(address: str) -> None:
    with BoundedSession() as session:
        assert len(session.get(address, timeout=30).json()) == 1_000_001
        assert len(session.get(address, timeout=30).json()) == 1_000_001, "on the same connection"
