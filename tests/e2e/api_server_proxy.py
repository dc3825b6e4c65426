"""A way to the API server that can be closed for a while: what a deploy sees of an outage."""

import base64
import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.callers import kubectl


class ApiServerProxy:
    """A TCP forwarder to the current kubeconfig's API server, and a kubeconfig that uses it."""

    def __init__(self, folder: Path) -> None:
        config = json.loads(
            kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json")
        )
        cluster = config["clusters"][0]["cluster"]
        address = urlsplit(cluster["server"])
        assert address.hostname
        self._to = (address.hostname, address.port or 443)
        self._open = True
        self._pairs: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        cluster["server"] = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        cluster.setdefault("tls-server-name", address.hostname)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(config))
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def close(self) -> None:
        """From now on nobody answers there; what is open breaks."""
        self._open = False
        for each in self._pairs:
            with contextlib.suppress(OSError):  # it had ended
                each.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """It answers again."""
        self._open = True

    def end(self) -> None:
        """Stop for good."""
        self.close()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._pairs):
            each.close()

    def _run(self, action: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=action, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                near.close()
                continue
            far = socket.create_connection(self._to)
            self._pairs += [near, far]
            for source, sink in ((near, far), (far, near)):
                self._run(_pump, source, sink)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def token_kubeconfig(folder: Path, token: str) -> Path:
    """The current kubeconfig, with a bearer token in place of its user."""
    config = json.loads(
        kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json")
    )
    config["users"][0]["user"] = {"token": token}
    path = folder / f"token-{base64.b16encode(token[:4].encode()).decode()}"
    path.write_text(json.dumps(config))
    return path
