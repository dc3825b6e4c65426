"""MLflow's password goes to the MLflow server, whatever host a version's files name."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from model_release.errors import RefusedError
from model_release.registry import Registry
from tests.hostile.conftest import SECRET


@pytest.fixture
def thief() -> Iterator[tuple[str, list[str]]]:
    """A host that answers as an artifact server does; its address, and what it was sent."""
    sent: list[str] = []

    class Thief(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(str(self.headers))
            body = b'{"files": []}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Thief) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", sent
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "place",
    [
        "mlflow-artifacts://{host}/1/model",
        "http://{host}/api/2.0/mlflow-artifacts/artifacts/1/model",
        "http://localhost@{host}/api/2.0/mlflow-artifacts/artifacts/1/model",
        "mlflow-artifacts://localhost:1@{host}/1/model",
        "http:{host}/api/2.0/mlflow-artifacts/artifacts/1/model",
    ],
)
def test_no_password_goes_to_a_host_that_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thief: tuple[str, list[str]], place: str
) -> None:
    host, sent = thief
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "pipeline")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    # the server is only named: what a version says of its files reaches the client as it is
    registry = Registry("http://localhost:1")
    with pytest.raises(RefusedError, match="which would get MLflow's password"):
        registry.fetch(place.format(host=host), tmp_path)
    assert sent == []


def test_a_host_that_is_named_where_the_pipeline_runs_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thief: tuple[str, list[str]]
) -> None:
    host, sent = thief
    monkeypatch.setenv("RELEASE_ARTIFACT_HOSTS", f"elsewhere {host}")
    Registry("http://localhost:1").fetch(f"mlflow-artifacts://{host}/1/model", tmp_path)
    assert sent
