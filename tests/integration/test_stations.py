"""The stations as scripts: in order they are the road, out of order they say what is missing."""

import importlib.util
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from model_release import ROOT
from model_release.registry import Registry
from model_release.releases import started
from model_release.workspace import Workspace
from tests.bad_models import models
from tests.bad_models.limits import write_limits
from tests.ports import free_port

Script = Callable[..., int]
STATIONS = (
    ("validate", "validate_model.py", ()),
    ("build", "build_image.py", ()),
    ("deploy-staging", "deploy_model.py", ("--environment", "staging")),
    ("smoke", "smoke_test.py", ()),
    ("deploy-production", "deploy_model.py", ("--environment", "production")),
    ("promote", "promote_model.py", ()),
)
HELPED = sorted(path.name for path in (ROOT / "scripts").glob("*.py"))


def load(name: str) -> Callable[[list[str]], int]:
    """A script's `main`, in this process: an import of mlflow saved for each call."""
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), ROOT / "scripts" / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[list[str]], int] = module.main
    return found


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each artifact was fetched from the registry."""
    counted: Counter[str] = Counter()
    fetch = Registry.fetch

    def count(registry: Registry, uri: str, folder: Path) -> Path:
        counted[uri] += 1
        return fetch(registry, uri, folder)

    monkeypatch.setattr(Registry, "fetch", count)
    return counted


@pytest.fixture
def script(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, fetched: Counter[str]
) -> Iterator[Script]:
    """Run a script on this workspace, with ports of its own; its servers end with the test.

    None of them may fetch an artifact twice.
    """
    monkeypatch.setenv("STAGING_PORT", str(free_port()))
    monkeypatch.setenv("PRODUCTION_PORT", str(free_port()))

    def run(name: str, *arguments: str) -> int:
        places = ["--home", str(workspace.home), "--models-dir", str(workspace.models_dir)]
        fetched.clear()
        code = load(name)([*places, *arguments])
        assert max(fetched.values(), default=0) <= 1, fetched
        return code

    yield run
    run("release_status.py", "--stop")


def test_alone_and_in_order_they_are_the_road(
    script: Script, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one-by-one", "all-at-once"):
        write_limits(workspace.models_dir, name)
        models.GOOD(workspace, name)
    alone = ("--model-name", "one-by-one", "--quiet")
    capsys.readouterr()
    for at, (station, name, more) in enumerate(STATIONS):
        for _, later, options in STATIONS[at + 1 :]:
            assert script(later, *alone, *options) == 2, f"{later} before {station}"
            (line,) = capsys.readouterr().err.splitlines()
            assert f"next: run python scripts/{name}" in line
            assert " ".join(more) in line
        assert script(name, *alone, *more) == 0, capsys.readouterr().err
        capsys.readouterr()

    assert script("release_status.py", "--stop") == 0  # two models cannot have the same ports
    assert script("run_release.py", "--model-name", "all-at-once", "--quiet") == 0
    by_station, by_road = (
        started(workspace.registry, name, "1").tags for name in ("one-by-one", "all-at-once")
    )
    assert set(by_station) == set(by_road)
    same = [tag for tag in by_road if tag.startswith("station.") and not tag.endswith(".at")]
    same += ["release.state", "release.config", "release.lock", "release.batching", "approval.how"]
    assert {tag: by_station[tag] for tag in same} == {tag: by_road[tag] for tag in same}
    versions = [workspace.registry.version(name, "1") for name in ("one-by-one", "all-at-once")]
    assert sorted(versions[0].aliases) == sorted(versions[1].aliases) == ["champion", "staging"]
    assert set(versions[0].tags) == set(versions[1].tags) >= {"validation_status", "approved_by"}


def test_a_protected_production_waits_for_a_name(
    script: Script,
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    fetched: Counter[str],
) -> None:
    path = write_limits(workspace.models_dir, "guarded")
    path.write_text(path.read_text() + "production: {protected: true}\n")
    models.GOOD(workspace, "guarded")
    road = ("run_release.py", "--model-name", "guarded", "--format", "json", "--quiet")

    assert script(*road) == 1
    said = capsys.readouterr()
    assert "guarded 1 waits for approval: production is protected" in said.err
    assert "MODEL=guarded VERSION=1 TARGET=local 'APPROVE=<your name>'" in said.err
    waiting = started(workspace.registry, "guarded", "1")
    assert (waiting.state, workspace.registry.alias("guarded", "champion")) == ("open", None)

    assert script(*road, "--approve", "ada@example.org") == 0
    files = [name.removeprefix("sha256.") for name in waiting.bound if name.startswith("sha256.")]
    assert len(files) >= 5
    assert fetched == {f"runs:/{waiting.id}/{name}": 1 for name in files}
    report = json.loads(capsys.readouterr().out)
    assert (report["release"], report["approved_by"]) == (waiting.id, "ada@example.org")
    serving = requests.get(f"{report['production']}/model", timeout=10).json()
    assert (serving["release"], serving["digest"]) == (waiting.id, waiting.digest)
    assert workspace.registry.version("guarded", "1").tags["approved_by"] == "ada@example.org"


def test_a_taken_port_stops_the_road_before_anything_else_does(
    script: Script,
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_limits(workspace.models_dir, "crowded")
    models.GOOD(workspace, "crowded")
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        monkeypatch.setenv("PRODUCTION_PORT", str(squatter.getsockname()[1]))
        assert script("run_release.py", "--model-name", "crowded", "--quiet") == 3
        assert "taken by process" in capsys.readouterr().err
    assert workspace.registry.alias("crowded", "champion") is None
    assert script("run_release.py", "--model-name", "crowded", "--quiet") == 0


@pytest.mark.parametrize("name", HELPED)
def test_help_has_an_example_and_the_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load(name)(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"scripts/{name}" in shown
    stations = {script for _, script, _ in STATIONS} | {"run_release.py", "release_status.py"}
    if name in stations:
        for said in ("--format {table,json,markdown}", "-o FILE", "exit codes: 0 passed"):
            assert said in shown
    if name in stations - {"release_status.py"}:
        assert "--model-name" in shown
        assert "--model-version" in shown
