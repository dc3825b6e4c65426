"""Registries that fail: in front of the real one, because that one cannot be made to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _LoginRefused(BaseHTTPRequestHandler):
    """Answers 401 to whoever comes."""

    default_request_version = "HTTP/1.1"  # a status line even for TLS: so docker tries without it

    def answer(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = answer  # noqa: N815  names of http.server

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def refusing() -> Iterator[str]:
    """Host and port of a registry that wants a login."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _LoginRefused) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def dying(real: str, after_bytes: int) -> Iterator[str]:
    """Host and port of the `real` registry until it was sent so many bytes; then nobody listens.

    Under a name that nothing is ever pushed to: of a layer that it has pushed to the same host,
    whatever the port, the engine sends no bytes, it asks the registry to mount it.
    """
    host, _, port = real.partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        front = _Front(listening, (host, int(port)), after_bytes)
        thread = threading.Thread(target=front.accept)
        thread.start()
        try:
            yield f"localhost:{listening.getsockname()[1]}"
        finally:
            front.die()
            thread.join()


class _Front:
    """Hands bytes on, both ways, until it dies."""

    def __init__(self, listening: socket.socket, real: tuple[str, int], after_bytes: int) -> None:
        self._listening = listening
        self._real = real
        self._left = after_bytes
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._real)
                with self._lock:
                    self._open += [client, server]
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._hand_on, args=pair, daemon=True).start()

    def _hand_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError), closing(source), closing(sink):
            while chunk := source.recv(65536):
                sink.sendall(chunk)
                if counted:
                    self._left -= len(chunk)
                    if self._left < 0:
                        self.die()

    def die(self) -> None:
        """Close everything; what was half sent stays half sent."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
