"""mlflow-skinny in place of mlflow: where it is tried, and what happens where it is not enough."""

import re
from importlib.metadata import version as installed
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.gates.environment import Limits
from model_release.processes.environments import lock
from model_release.stations.validate_model import validate_model
from model_release.workspace import Workspace
from tests.bad_models.limits import write_limits
from tests.bad_models.models import from_code

SERVER = ROOT / "serving" / "requirements.in"
PINNED = tuple(
    f"{name}=={installed(name)}" for name in ("mlflow", "numpy", "pandas", "scikit-learn", "skops")
)
FLASK = "import flask"
"""Brought by mlflow, not by mlflow-skinny."""


@pytest.mark.parametrize(
    ("requirements", "skinny"),
    [(PINNED, True), (PINNED[:2], False), (("mlflow>3", *PINNED[1:]), False)],
    ids=["pinned", "without pandas", "not pinned"],
)
def test_skinny_is_tried_where_the_requirements_allow_it(
    home: Path, tmp_path: Path, requirements: tuple[str, ...], skinny: bool
) -> None:
    (tmp_path / "python_env.yaml").write_text("python: 3.11.7\n")
    (tmp_path / "requirements.txt").write_text("\n".join(requirements))
    made = lock(tmp_path, SERVER, Limits(), home, skinny=True)
    text = made.path.read_text()
    assert made.skinny is skinny
    assert bool(re.search(r"^mlflow==", text, re.MULTILINE)) is not skinny
    assert ("mlflow-skinny for mlflow" in text.splitlines()[0]) is skinny


@pytest.mark.long
@pytest.mark.parametrize(
    ("load", "predict", "skinny"),
    [
        ("pass", "return rule", True),
        (FLASK, "return rule", False),
        ("pass", f"{FLASK}; return rule", False),
    ],
    ids=["enough", "not to load", "not to answer"],
)
def test_a_model_gets_all_of_mlflow_where_it_needs_it(
    workspace: Workspace, request: pytest.FixtureRequest, load: str, predict: str, skinny: bool
) -> None:
    name = re.sub(r"\W+", "-", request.node.name.lower())[:40].strip("-")
    name = f"{name}-{len(load)}-{len(predict)}"
    write_limits(workspace.models_dir, name)
    from_code(load=load, predict=predict, requirements=PINNED)(workspace, name)
    release = validate_model(workspace, name, None)
    assert release.passed("validate")
    locked = release.text("validate/requirements.lock")
    assert ("mlflow-skinny for mlflow" in locked.splitlines()[0]) is skinny
