"""Runs compared and the best registered; approvals; other aliases: on a real registry."""

from pathlib import Path

import mlflow
import pytest

from model_release import releases
from model_release.errors import RefusedError, UsageError
from model_release.operations.compare_runs import Question, compare_runs
from model_release.operations.transition_alias import transition_alias
from model_release.releases.ledger import read_ledger
from model_release.stations.approve_model import approve_model, shown
from model_release.workspace import Workspace


def train(workspace: Workspace, experiment: str, accuracy: float, *, model: bool = True) -> str:
    """A run with a metric, and a logged model where it has one."""
    client = mlflow.MlflowClient(workspace.uri)
    found = client.get_experiment_by_name(experiment)
    number = found.experiment_id if found else client.create_experiment(experiment)
    run = client.create_run(number, run_name=f"run-{accuracy}")
    client.log_param(run.info.run_id, "depth", str(int(accuracy * 10)))
    client.log_metric(run.info.run_id, "accuracy", accuracy)
    if model:
        logged = client.create_logged_model(number, "model", run.info.run_id)
        output = mlflow.entities.LoggedModelOutput(logged.model_id, step=0)
        client.log_outputs(run.info.run_id, [output])
        client.finalize_logged_model(logged.model_id, "READY")
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def test_the_best_run_becomes_a_version_and_again_it_is_that_version(
    workspace: Workspace, tmp_path: Path
) -> None:
    runs = [train(workspace, "contest", value) for value in (0.7, 0.9, 0.8)]
    question = Question(["contest"], "accuracy", filter_string="metrics.accuracy < 0.95")
    report = compare_runs(workspace, question, plots=tmp_path / "plots", register="winner")
    assert report.data["best"] == runs[1]
    assert [each["run"] for each in report.data["runs"]] == [runs[1], runs[2], runs[0]]
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["accuracy.png"]

    found = mlflow.MlflowClient(workspace.uri).get_model_version("winner", "1")
    assert (found.run_id, found.description) == (runs[1], "Best of contest by accuracy: 0.9.")
    assert found.tags["chosen_accuracy"] == "0.9"
    again = compare_runs(workspace, question, register="winner")
    assert again.data["registered"] == report.data["registered"] == "1"


def test_what_cannot_be_compared_is_refused_by_name(workspace: Workspace) -> None:
    train(workspace, "odd", 0.9, model=False)
    with pytest.raises(UsageError, match=r"experiment 'nothing'"):
        compare_runs(workspace, Question(["nothing"], "accuracy"))
    with pytest.raises(UsageError, match=r"metric 'f1'; expected a run that logged this metric"):
        compare_runs(workspace, Question(["odd"], "f1"))
    with pytest.raises(UsageError, match=r"filter 'accuracy is good'"):
        compare_runs(workspace, Question(["odd"], "accuracy", filter_string="accuracy is good"))
    with pytest.raises(UsageError, match=r"expected a run that logged a model"):
        compare_runs(workspace, Question(["odd"], "accuracy"), register="winner")


def version_of(workspace: Workspace, model: str, count: int = 1) -> None:
    client = mlflow.MlflowClient(workspace.uri)
    client.create_registered_model(model)
    for _ in range(count):
        client.create_model_version(model, (workspace.home / "none").as_uri())


def test_an_approval_is_set_by_name_and_shown(workspace: Workspace) -> None:
    version_of(workspace, "waiting")
    registry = workspace.registry
    assert shown(registry, "waiting", "1")["approval_status"] == "pending"
    begun = releases.start(registry, "waiting", "1", "sha256:a", {})
    with pytest.raises(UsageError, match=r"expected station validate passed"):
        approve_model(begun, by="ada", why="looks good", approved=True)
    passed = {f"station.{each}": "passed" for each in ("validate", "build", "deploy-staging")}
    staged = begun.note({**passed, "station.smoke": "passed"})
    with pytest.raises(UsageError, match=r"expected the name of who decides, and a reason"):
        approve_model(staged, by="ada", why=" ", approved=True)
    approved = approve_model(staged, by="ada", why="looked at the slices", approved=True)
    assert approved.passed("approve")
    facts = shown(registry, "waiting", "1")
    assert (facts["approval_status"], facts["by"], facts["why"]) == (
        "approved",
        "ada",
        "looked at the slices",
    )
    with pytest.raises(UsageError, match=r"expected a release that waits for approval"):
        approve_model(releases.load(registry, begun.id), by="bob", why="too late", approved=False)


def test_a_rejection_ends_the_release(workspace: Workspace) -> None:
    version_of(workspace, "rejected")
    begun = releases.start(workspace.registry, "rejected", "1", "sha256:a", {})
    assert approve_model(begun, by="ada", why="unfair", approved=False).state == "refused"
    assert shown(workspace.registry, "rejected", "1")["approval_status"] == "rejected"


def test_another_alias_moves_only_from_where_it_is_expected(workspace: Workspace) -> None:
    version_of(workspace, "aliased", 3)
    registry = workspace.registry
    first = transition_alias(workspace, "aliased", "challenger", "1", expected="")
    assert (first.before, first.after, first.done) == ("", "1", True)
    assert transition_alias(workspace, "aliased", "challenger", "1") == first, "again is a no-op"
    transition_alias(workspace, "aliased", "challenger", "2", expected="1", reason="better")
    with pytest.raises(
        RefusedError, match=r"expected version 1, as --expected says; found version 2"
    ):
        transition_alias(workspace, "aliased", "challenger", "3", expected="1")
    registry.set_alias("aliased", "challenger", "3")
    with pytest.raises(RefusedError, match=r"somebody moved the alias by hand"):
        transition_alias(workspace, "aliased", "challenger", "1")
    assert registry.alias("aliased", "challenger") == "3"
    assert [e.reason for e in read_ledger(registry, "aliased").entries] == ["", "better"]


@pytest.mark.parametrize(
    ("alias", "text"),
    [
        ("latest", "which MLflow reserves"),
        ("v7", "which MLflow reserves"),
        ("a b", "which MLflow reserves"),
        ("champion", "promote_model.py"),
        ("Champion", "promote_model.py"),
        ("staging", "smoke_test.py"),
    ],
)
def test_aliases_that_are_not_moved_so(workspace: Workspace, alias: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        transition_alias(workspace, "whatever", alias, "1")
