"""The registry on a real SQLite store, and what it says when a server fails."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest

from model_release import releases
from model_release.errors import OutsideError, UsageError
from model_release.registry import Registry
from model_release.releases import names
from model_release.workspace import Workspace


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
    unfinished = workspace.home / "tmp"
    before = set(unfinished.glob("*"))  # other tests share this home
    with pytest.raises(UsageError, match=r"files of hollow 1; expected an MLflow model"):
        workspace.fetch_model(workspace.registry.version("hollow"))
    assert set(unfinished.glob("*")) == before


def test_version_in_an_s3_store_without_credentials(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = mlflow.MlflowClient(workspace.uri)
    client.create_registered_model("away")
    client.create_model_version("away", "s3://models/away")
    with pytest.raises(OutsideError, match=r"artifact store .* found Unable to locate credentials"):
        workspace.fetch_model(workspace.registry.version("away"))


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
    monkeypatch.setenv("REGISTRY_RETRY_SECONDS", "0")


@pytest.mark.usefixtures("without_retries")
def test_server_that_answers_500(failing_server: str) -> None:
    with pytest.raises(
        OutsideError, match=r"MLflow at http://127.*expected an answer.*next: check"
    ):
        Registry(failing_server).version("iris", "1")


@pytest.mark.usefixtures("without_retries")
def test_server_that_is_down_and_the_password_in_its_address() -> None:
    with pytest.raises(OutsideError) as caught:
        Registry("http://user:hunter2@127.0.0.1:9").version("iris", "1")
    assert "hunter2" not in str(caught.value)


def test_releases_are_found_by_their_tags_newest_first(workspace: Workspace) -> None:
    registry = workspace.registry
    first = releases.start(registry, "road", "1", "sha256:a", {names.CHAMPION: ""})
    second = releases.start(registry, "road", "1", "sha256:b", {names.CHAMPION: ""})
    other = releases.start(registry, "road", "2", "sha256:c", {names.CHAMPION: ""})

    found = releases.newest(registry, "road", "1")
    assert found is not None
    assert (found.id, found.digest) == (second.id, "sha256:b")
    assert releases.load(registry, first.id).state == "superseded"
    assert releases.load(registry, other.id).state == "open"
    assert releases.newest(registry, "road", "3") is None


def test_a_station_is_recorded_with_its_evidence(workspace: Workspace) -> None:
    begun = releases.start(workspace.registry, "record", "1", "sha256:a", {})
    with pytest.raises(UsageError, match=r"expected station validate passed; found not run"):
        begun.require_before("deploy-staging")
    begun.record("validate", "passed", evidence={"x.json": '{"a": 1}'}, metrics={"m": 0.5})

    read = releases.load(replace(workspace).registry, begun.id)
    read.require_before("build")
    assert read.json("validate/x.json") == {"a": 1}
    with pytest.raises(UsageError, match=r"build_image\.py --model-name record --model-version 1$"):
        read.require_before("deploy-staging", "kubernetes")
    read.record("build", "passed")
    read = releases.load(read.registry, begun.id)
    with pytest.raises(UsageError, match=r"deploy_model\.py .*--target kubernetes$"):
        read.require_before("smoke", "kubernetes")
    with pytest.raises(UsageError, match=r"deploy_model\.py .*--target '<local or kubernetes>'$"):
        read.require_before("smoke")


def test_a_ledger_of_the_future_is_not_guessed_at(workspace: Workspace) -> None:
    begun = releases.start(workspace.registry, "future", "1", "sha256:a", {})
    begun.note({"release.format": "3"})
    with pytest.raises(OutsideError, match=r"expected format 2 or older; found format 3"):
        releases.load(workspace.registry, begun.id)


def test_a_run_that_is_no_release(workspace: Workspace) -> None:
    run = workspace.registry.create_run("elsewhere", "x", {})
    with pytest.raises(UsageError, match=r"a run without the tag release\.format"):
        releases.load(workspace.registry, run)
