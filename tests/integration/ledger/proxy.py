"""A proxy before a real MLflow server that injects faults: the only stand-in of these tests."""

import http.client
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["", "500", "reset", "reset-after", "hang", "hang-after", "slow"]
MOMENT = re.compile(rb"\b\d{13}\b")
"""A time in milliseconds: the one thing in which a request that is tried again differs."""

SLOW_SECONDS = 0.5


@dataclass
class Proxy:
    """Forwards requests, unless `rule` names a fault for one.

    `rule` takes method, path and how often this very request (with its body) came before.
    """

    server: str
    url: str = ""
    rule: Callable[[str, str, int], Fault] = lambda method, path, before: ""
    injected: list[tuple[str, str, str]] = field(default_factory=list)
    seen: dict[tuple[str, str, bytes], int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, path: str, body: bytes) -> Fault:
        with self.lock:
            same = (method, path, MOMENT.sub(b"0", body))
            before = self.seen.get(same, 0)
            self.seen[same] = before + 1
            fault = self.rule(method, path, before)
            if fault:
                self.injected.append((fault, method, path))
            return fault

    def calm(self) -> None:
        """Forward everything from now on."""
        self.rule = lambda method, path, before: ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.fault(self.command, self.path, body)
        if fault == "500":
            return self._answer(500, b'{"error_code": "INTERNAL_ERROR", "message": "injected"}')
        if fault == "reset":
            return self._reset()
        if fault == "hang":
            self._hang()
            return self._reset()
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        status, answer = self._forward(body)
        if fault == "hang-after":
            self._hang()
        if fault in ("reset-after", "hang-after"):
            return self._reset()
        return self._answer(status, answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        place = urlsplit(self.proxy.server)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
        headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang(self) -> None:
        """Say nothing until the caller gives up, which ends the connection."""
        select.select([self.connection], [], [], 120)

    def _reset(self) -> None:
        """Close so that the caller sees a reset connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A caller that gave up is not an error of this test."""


@contextmanager
def injecting(server: str) -> Iterator[Proxy]:
    """A proxy before `server`."""
    proxy = Proxy(server)
    handler = type("Bound", (Handler,), {"proxy": proxy})
    with Server(("127.0.0.1", 0), handler) as listening:
        proxy.url = f"http://127.0.0.1:{listening.server_address[1]}"
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield proxy
        listening.shutdown()
