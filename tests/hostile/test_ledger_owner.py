"""A ledger or a release that somebody else made: believed only where the pipeline alone may write.

The registry is a real one. Whoever trains may make experiments and runs of their own, with any
tags.
"""

import itertools
import json
from typing import Any

import pytest

from model_release import releases
from model_release.errors import OutsideError, UsageError
from model_release.operations.release_history import release_history
from model_release.releases import Release, names
from model_release.releases.ledger import EXPERIMENTS, FORMAT, PLACE, POINTER, read_ledger
from model_release.stations.validate_model import champion_of
from model_release.workspace import Workspace
from tests.integration.conftest import MLFLOW_WARNS

pytestmark = [pytest.mark.filterwarnings(each) for each in MLFLOW_WARNS]

NUMBERS = itertools.count(1)
MOVE = {
    "id": "0", "alias": "champion", "kind": "promotion", "before": "", "after": "1",
    "release": "", "at": "2026-11-28T12:00:00.000+00:00", "by": "eve", "reason": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("home")
    return Workspace(folder, folder / "models.d")


@pytest.fixture
def model(workspace: Workspace) -> str:
    name = f"owned-{next(NUMBERS)}"
    client: Any = workspace.registry._client
    client.create_registered_model(name)
    client.create_model_version(name, "s3://nowhere/model")
    return name


def forged(workspace: Workspace, model: str, experiment: str) -> str:
    """The run of a ledger that somebody wrote, in an experiment where they may."""
    tags = {"ledger.model": model, "ledger.format": str(FORMAT)}
    run_id = workspace.registry.create_run(experiment, model, tags)
    assert workspace.registry.write_once(run_id, "entry.000001", json.dumps(MOVE))
    return run_id


def begun(workspace: Workspace, model: str) -> Release:
    return releases.start(workspace.registry, model, "1", "sha256:1", {names.CHAMPION: ""})


@pytest.mark.parametrize("first", [True, False], ids=["made first", "pointed elsewhere later"])
def test_a_ledger_of_a_trainer_is_not_believed(
    workspace: Workspace, model: str, first: bool
) -> None:
    registry = workspace.registry
    run_id = forged(workspace, model, "training")
    if first:
        registry.create_experiment(EXPERIMENTS + model, {POINTER: run_id})
    else:
        begun(workspace, model)
        client: Any = registry._client
        client.set_experiment_tag(registry.experiment(EXPERIMENTS + model), POINTER, run_id)
    for action in (
        lambda: read_ledger(registry, model),
        lambda: release_history(workspace, model, "champion"),
        lambda: begun(workspace, model),
    ):
        with pytest.raises(OutsideError) as said:
            action()
        assert str(said.value).startswith(
            f"ledger of {model} (run {run_id}); expected a run in the experiment {PLACE}, of "
            f"{model}; found a run in the experiment training, of {model}; next: somebody else made"
        )


def test_the_ledger_of_another_model_is_not_this_ones(workspace: Workspace, model: str) -> None:
    registry = workspace.registry
    begun(workspace, model)
    pointer = registry.experiment_tags(EXPERIMENTS + model)
    assert pointer is not None
    other = f"{model}-too"
    registry.create_experiment(EXPERIMENTS + other, {POINTER: pointer[POINTER]})
    with pytest.raises(OutsideError, match=f"found a run in the experiment {PLACE}, of {model}; "):
        read_ledger(registry, other)


def test_a_release_lies_among_the_releases_of_its_model(workspace: Workspace, model: str) -> None:
    own = begun(workspace, model)
    for place in ("training", f"{EXPERIMENTS}{model}-too"):
        run_id = workspace.registry.create_run(place, "r", dict(own.tags))
        with pytest.raises(UsageError, match=f"found a run in the experiment {place}; next: give"):
            releases.load(workspace.registry, run_id)
    assert releases.load(workspace.registry, own.id).identity == own.identity
    assert champion_of(workspace, model) is None
