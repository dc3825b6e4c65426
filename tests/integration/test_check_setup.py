"""The doctor: what it finds where everything is there, and where something is missing."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from model_release import ROOT
from model_release.workspace import Workspace
from tests.github import REPOSITORY, serve


def findings(
    capsys: pytest.CaptureFixture[str], *arguments: str, code: int
) -> dict[str, dict[str, Any]]:
    main = runpy.run_path(str(ROOT / "scripts/check_setup.py"))["main"]
    assert main([*arguments, "--format", "json", "--quiet"]) == code
    found = json.loads(capsys.readouterr().out)["findings"]
    return {each["name"]: each for each in found}


def arguments(workspace: Workspace) -> tuple[str, ...]:
    return (
        *("--home", str(workspace.home), "--tracking-uri", workspace.uri),
        *("--model-name", "iris-classifier"),
    )


def test_what_is_missing_has_a_next_step(
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("COSIGN_KEY", "key")
    with serve() as github:
        for name, value in (("REPOSITORY", REPOSITORY), ("API_URL", github.api), ("TOKEN", "x")):
            monkeypatch.setenv(f"GITHUB_{name}", value)
        found = findings(capsys, *arguments(workspace), "--target", "kubernetes", code=1)
    assert {name: each["outcome"] for name, each in found.items()} == {
        "Python": "passed",
        "registry": "failed",
        "limits": "passed",
        "docker": "failed",
        "signing": "failed",
        "cluster, staging": "failed",
        "cluster, production": "failed",
        "production on GitHub": "failed",
    }
    assert all(each["next_step"] for each in found.values() if each["outcome"] == "failed")
    assert found["production on GitHub"]["found"] == "environment: no such environment"


def test_on_one_machine_nothing_else_is_asked_for(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    client = mlflow.MlflowClient(workspace.uri)
    client.create_registered_model("doctored")
    client.create_model_version("doctored", (workspace.home / "none").as_uri())
    found = findings(capsys, *arguments(workspace)[:-1], "doctored", code=0)
    assert found["registry"]["found"].endswith("newest version of doctored is 1")
    skipped = [name for name, each in found.items() if each["outcome"] == "skipped"]
    assert skipped == ["docker", "signing", "cluster", "production on GitHub"]
