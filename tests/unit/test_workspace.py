"""The surroundings of a command: what they read, they read once."""

import shutil
from dataclasses import replace
from pathlib import Path

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
