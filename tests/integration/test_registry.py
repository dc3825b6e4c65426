"""The registry on a real SQLite store, and what it says when a server fails."""

import errno
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest

from model_release import release as releases
from model_release.errors import OutsideError, UsageError
from model_release.registry import Registry, check_name, check_version
from model_release.workspace import Workspace
from tests.zoo import animals


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a/b", "../etc", "x;id", "$(id)", 'x"; touch pwned; "', "`id`", "-rf", "a\n", "é"],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="model name"):
        check_name(name)


@pytest.mark.parametrize("name", ["iris-classifier", "a", "Fraud_Model.v2", "9lives"])
def test_names_that_are_fine(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("version", ["0", "-1", "1.0", "latest", "1;id", "٣", "1 ", "01"])
def test_versions_that_are_refused(version: str) -> None:
    with pytest.raises(UsageError, match="model version"):
        check_version(version)


def test_unknown_model_and_version(workspace: Workspace) -> None:
    registry = workspace.registry
    with pytest.raises(UsageError, match=r"model 'nobody'; expected a registered model"):
        registry.version("nobody")
    with pytest.raises(UsageError, match=r"model version nobody 7"):
        registry.version("nobody", "7")
    assert not registry.has_versions("nobody")


def test_newest_is_by_number(workspace: Workspace) -> None:
    client = mlflow.MlflowClient(workspace.uri)
    client.create_registered_model("many")
    for _ in range(11):
        client.create_model_version("many", (workspace.home / "none").as_uri())
    assert workspace.registry.version("many").version == "11"


def test_version_without_files(workspace: Workspace, tmp_path: Path) -> None:
    client = mlflow.MlflowClient(workspace.uri)
    client.create_registered_model("hollow")
    (tmp_path / "empty").mkdir()
    client.create_model_version("hollow", (tmp_path / "empty").as_uri())
    with pytest.raises(UsageError, match=r"files of hollow 1; expected an MLflow model"):
        workspace.fetch_model(workspace.registry.version("hollow"))
    assert not list((workspace.home / "tmp").iterdir())


def test_disk_full_while_downloading(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real file system that runs full takes root to mount: the fault is injected."""
    animals.GOOD(workspace, "heavy")
    before = sorted((workspace.home / "models").glob("*"))

    def full(uri: str, dst_path: str) -> str:
        Path(dst_path, "MLmodel").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", full)
    with pytest.raises(OutsideError, match=r"disk full.*free space"):
        workspace.fetch_model(workspace.registry.version("heavy"))
    assert not list((workspace.home / "tmp").iterdir())
    assert sorted((workspace.home / "models").glob("*")) == before


@pytest.fixture
def failing_server() -> Iterator[str]:
    """An HTTP server that answers 500 to everything."""

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def without_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("without_retries")
def test_server_that_answers_500(failing_server: str) -> None:
    with pytest.raises(OutsideError, match=r"MLflow at http://127.*expected an answer.*next: see"):
        Registry(failing_server).version("iris", "1")


@pytest.mark.usefixtures("without_retries")
def test_server_that_is_down_and_the_password_in_its_address() -> None:
    with pytest.raises(OutsideError) as caught:
        Registry("http://user:hunter2@127.0.0.1:9").version("iris", "1")
    assert "hunter2" not in str(caught.value)


def test_releases_are_found_by_their_tags_newest_first(workspace: Workspace) -> None:
    registry = workspace.registry
    first = releases.start(registry, "road", "1", "sha256:a", {"champion": ""})
    second = releases.start(registry, "road", "1", "sha256:b", {"champion": ""})
    other = releases.start(registry, "road", "2", "sha256:c", {"champion": ""})

    found = releases.newest(registry, "road", "1")
    assert found is not None
    assert (found.id, found.digest) == (second.id, "sha256:b")
    assert releases.load(registry, first.id).state == "superseded"
    assert releases.load(registry, other.id).state == "open"
    assert releases.newest(registry, "road", "3") is None


def test_a_station_is_recorded_with_its_evidence(workspace: Workspace) -> None:
    begun = releases.start(workspace.registry, "record", "1", "sha256:a", {})
    with pytest.raises(UsageError, match=r"expected station validate passed; found not run"):
        begun.require("validate", "build")
    begun.record("validate", "passed", evidence={"x.json": '{"a": 1}'}, metrics={"m": 0.5})

    read = releases.load(workspace.registry, begun.id)
    read.require("validate")
    assert read.json("validate/x.json") == {"a": 1}
    with pytest.raises(UsageError, match=r"build_image\.py"):
        read.require("validate", "build")


def test_a_ledger_of_the_future_is_not_guessed_at(workspace: Workspace) -> None:
    begun = releases.start(workspace.registry, "future", "1", "sha256:a", {})
    begun.note({"release.format": "2"})
    with pytest.raises(OutsideError, match=r"expected format 1; found format 2"):
        releases.load(workspace.registry, begun.id)


def test_a_run_that_is_no_release(workspace: Workspace) -> None:
    run = workspace.registry.create_run("elsewhere", "x", {})
    with pytest.raises(UsageError, match=r"a run without release\.format"):
        releases.load(workspace.registry, run)
