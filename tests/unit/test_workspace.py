"""The surroundings of a command: what they read, they read once."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.workspace import Workspace


def test_a_models_limits_stay_what_they_were_at_first(tmp_path: Path) -> None:
    path = tmp_path / "default.yaml"
    shutil.copy(ROOT / "models" / "default.yaml", path)
    workspace = Workspace(tmp_path, tmp_path)
    first = workspace.config("iris")
    path.write_text("no: limits")
    assert workspace.config("iris") is first

    shutil.copy(ROOT / "models" / "iris-classifier.yaml", path)
    assert replace(workspace).config("iris").digest != first.digest


def test_make_trains_into_the_registry_that_commands_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, home = tmp_path / "bin", tmp_path / "a home"
    programs.mkdir()
    (programs / "python").write_text('#!/bin/sh\necho "$MLFLOW_TRACKING_URI"\n')
    (programs / "python").chmod(0o755)
    for variable in ("MLFLOW_TRACKING_URI", "MAKEFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("RELEASE_HOME", str(home))
    stub = os.path.relpath(programs, ROOT)
    done = subprocess.run(
        ["make", "--silent", "--old-file=.venv/ready", "train", f"BIN={stub}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.stdout.strip()) == ("", Workspace(home, ROOT / "models").uri)
    assert home.is_dir()
