"""What a canary's analysis asks of an API server: a list of pods, and the way to each."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from model_release.targets.kubernetes.manifests import TRACK

PROXY = "/pods/{}:8080/proxy"
PATIENCE = 20
"""Requests to a pod that went, until it is listed no more."""


@dataclass
class ApiServer:
    """Pods by name, each with its track and the port of its server; 0 where none listens any more.

    `listed` are those that the list of pods holds: a pod that went for a while longer.
    """

    pods: dict[str, tuple[str, int]]
    listed: set[str]
    base: str = ""
    in_vain: Counter[str] = field(default_factory=Counter)

    def list_pods(self) -> dict[str, Any]:
        """As Kubernetes lists them, as far as it is read here."""
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
        return {
            "items": [
                {
                    "metadata": {"name": name, "uid": name, "labels": {TRACK: track}},
                    "spec": {},
                    "status": {**ready, "containerStatuses": []},
                }
                for name, (track, _) in self.pods.items()
                if name in self.listed
            ]
        }

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body: of a pod's server, or of the API server in its place."""
        if path.startswith("/pods?"):
            return 200, "application/json", json.dumps(self.list_pods()).encode()
        name = next(each for each in self.pods if path.startswith(PROXY.format(each)))
        try:
            return _forward(self.pods[name][1], method, path.removeprefix(PROXY.format(name)), body)
        except OSError as error:
            self.in_vain[name] += 1
            if self.in_vain[name] == PATIENCE:
                self.listed.remove(name)
            told = f"error trying to reach service: {error}"
            status = {"kind": "Status", "status": "Failure", "message": told, "code": 503}
            return 503, "application/json", json.dumps(status, separators=(",", ":")).encode()


def _forward(port: int, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port or 1, timeout=60)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read()
    finally:
        connection.close()


@contextmanager
def api_server(pods: Mapping[str, tuple[str, int]]) -> Iterator[ApiServer]:
    """Stands in for the API server's proxy until the block ends."""
    server = ApiServer(dict(pods), set(pods))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, kind, body = server.answer(self.command, self.path, sent)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.base = f"http://127.0.0.1:{listening.server_port}"
        Thread(target=listening.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()
