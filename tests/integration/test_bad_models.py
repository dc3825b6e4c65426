"""Each bad model is stopped by the gate that is meant for it, and by no other. Good ones pass."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from model_release.errors import RefusedError
from model_release.gates import gates
from model_release.image.context import build_context
from model_release.releases import Release
from model_release.stations.validate_model import validate_model, verdict
from model_release.workspace import Workspace
from tests.bad_models import models
from tests.bad_models.limits import write_limits
from tests.bad_models.models import Trainer

Changes = Mapping[str, Mapping[str, Any]]
SKIP = {"skip": "to see whether another gate stops it too"}


def gate_rows(release: Release) -> dict[str, dict[str, Any]]:
    """The report's gates by name."""
    return {row["gate"]: row for row in release.json("validate/report.json")["gates"]}


def assert_outcomes(release: Release, expected: Mapping[str, str]) -> None:
    """Every gate, in order, has the expected status; else the report is shown."""
    rows = gate_rows(release)
    shown = "\n".join(f"{name}: {row['status']}: {row['found']}" for name, row in rows.items())
    assert [(name, row["status"]) for name, row in rows.items()] == list(expected.items()), shown


def stopped_by(gate: str) -> dict[str, str]:
    """Gate → status when this gate, and only it, says no."""
    names = list(gates())
    at = names.index(gate)
    expected = dict.fromkeys(names[:at], "passed") | {gate: "failed"}
    return expected | dict.fromkeys(names[at + 1 :], "not reached")


def all_passed(skipped: str = "") -> dict[str, str]:
    return dict.fromkeys(gates(), "passed") | ({skipped: "skipped"} if skipped else {})


@dataclass(frozen=True)
class Case:
    """A bad model, the gate that is meant for it and what its refusal names.

    `alone`: with that gate skipped the model passes all others. That cannot be asked of a model
    that cannot be loaded or asked at all.
    """

    gate: str
    trainer: Trainer
    names: str
    limits: Changes = field(default_factory=dict)
    after_good: bool = False
    alone: bool = True


CASES = {
    "dependency that cannot be locked": Case(
        "environment", models.UNLOCKABLE, "scikit-learn==0.0.99", alone=False
    ),
    "missing dependency": Case("loadable", models.UNLISTED_IMPORT, "matplotlib", alone=False),
    "load-time exception": Case(
        "loadable", models.RAISES_AT_LOAD, "RuntimeError: the weights are corrupt", alone=False
    ),
    "exits at load": Case("loadable", models.EXITS_AT_LOAD, "exit status 7", alone=False),
    "hangs at load": Case(
        "loadable",
        models.HANGS_AT_LOAD,
        "did not answer in time",
        {"loadable": {"max_seconds": 2}},
        alone=False,
    ),
    "eats memory at load": Case(
        "loadable", models.EATS_MEMORY, "MiB", {"loadable": {"max_memory_mib": 300}}
    ),
    "no signature": Case("signature", models.NO_SIGNATURE, "no signature"),
    "changed input type": Case(
        "signature", models.CHANGED_TYPE, "input 'rooms' is double, was integer", after_good=True
    ),
    "new required column": Case(
        "signature", models.NEW_COLUMN, "input 'age' is newly required", after_good=True
    ),
    "NaN metric": Case(
        "claimed_metrics",
        models.NAN_LOGGED,
        "loss nan is not <= 1",
        {"claimed_metrics": {"thresholds": {"loss": {"max": 1}}}},
    ),
    "missing metric": Case("claimed_metrics", models.UNLOGGED, "no accuracy"),
    "constant predictor": Case("measured_metrics", models.constant, "f1_macro 0.444"),
    "inflated claimed metric": Case(
        "measured_metrics", models.INFLATED, "accuracy claimed 0.99, measured 0.791667"
    ),
    "answers too many": Case(
        "measured_metrics", models.WRONG_LENGTH, "answered 241 (ndarray) for 240 rows", alone=False
    ),
    "answers NaN": Case("measured_metrics", models.ANSWERS_NAN, "accuracy nan", alone=False),
    "dies when asked": Case(
        "measured_metrics", models.DIES_WHEN_ASKED, "exit status 5", alone=False
    ),
    "slightly worse than the champion": Case(
        "champion",
        models.SLIGHTLY_WORSE,
        "accuracy 0.958333 against 1",
        after_good=True,
    ),
    "one bad slice": Case("slices", models.BAD_SLICE, "region=west (40 rows): accuracy 0.5"),
    "too slow": Case("latency", models.SLOW, "single p50 is "),
    "too large": Case("latency", models.LARGE, "size is 2.0"),
    "answers that depend on the batch": Case(
        "row_independence",
        models.BATCH_DEPENDENT,
        "of 8 rows differ, by 1 at most",
        {"row_independence": {"required": True}},
    ),
}


LONG = {"missing dependency", "too large", "too slow", "hangs at load"}
TITLES = [pytest.param(each, marks=pytest.mark.long if each in LONG else ()) for each in CASES]


@pytest.mark.parametrize("title", TITLES)
def test_bad_model_is_stopped_by_its_gate_and_no_other(title: str, workspace: Workspace) -> None:
    case, name = CASES[title], title.replace(" ", "-")
    write_limits(workspace.models_dir, name, case.limits)
    if case.after_good:
        models.crown(name, models.GOOD(workspace, name))
    version = case.trainer(workspace, name)

    refused = validate_model(workspace, name, version)

    assert_outcomes(refused, stopped_by(case.gate))
    assert case.names in gate_rows(refused)[case.gate]["found"]
    assert (refused.state, refused.passed("validate")) == ("refused", False)
    with pytest.raises(RefusedError, match=f"gate {case.gate} failed"):
        verdict(refused)
    if case.alone:
        write_limits(workspace.models_dir, name, {**case.limits, case.gate: SKIP})
        assert_outcomes(
            validate_model(replace(workspace), name, version), all_passed(skipped=case.gate)
        )


def test_unsafe_pickle_is_named_and_never_loaded(workspace: Workspace, tmp_path: Path) -> None:
    write_limits(workspace.models_dir, "bomb", {"serialization": {"trusted_flavors": []}})
    version = models.bomb(tmp_path / "exploded")(workspace, "bomb")

    refused = validate_model(workspace, "bomb", version)

    assert_outcomes(refused, stopped_by("serialization"))
    assert "model.pkl: pickle, imports posix.system" in gate_rows(refused)["serialization"]["found"]
    assert not (tmp_path / "exploded").exists()


GOOD = {
    "model from code": models.GOOD,
    "scikit-learn": models.logistic_regression,
    "prints into every stream": models.PRINTS,
}


@pytest.mark.parametrize("title", GOOD)
def test_good_model_passes_all_gates(title: str, workspace: Workspace) -> None:
    name = title.replace(" ", "-")
    write_limits(workspace.models_dir, name)
    models.crown(name, models.GOOD(workspace, name))

    release = validate_model(workspace, name, GOOD[title](workspace, name))

    assert_outcomes(release, all_passed())
    assert (release.state, release.passed("validate")) == ("open", True)
    assert release.tags["release.batching"] == "true"
    assert release.json("validate/report.json")["champion"] == "1"
    assert "--hash=sha256:" in release.text("validate/requirements.lock")
    cases = release.json("validate/golden.json")
    assert [case["name"] for case in cases] == ["input example", "holdout"]
    assert cases[0]["predictions"] == [1, 0]
    verdict(release)


def test_batch_dependent_model_passes_by_default_and_is_not_batched(workspace: Workspace) -> None:
    write_limits(workspace.models_dir, "together")

    release = validate_model(workspace, "together", models.BATCH_DEPENDENT(workspace, "together"))

    assert_outcomes(release, all_passed())
    assert release.tags["release.batching"] == "false"
    assert "requests will not be batched" in gate_rows(release)["row_independence"]["found"]


def test_model_is_not_told_the_secrets_of_the_pipeline(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "GITHUB_TOKEN"):
        monkeypatch.setenv(variable, "not-for-models")
    write_limits(workspace.models_dir, "spy")

    release = validate_model(workspace, "spy", models.LOOKS_FOR_SECRETS(workspace, "spy"))

    assert_outcomes(release, all_passed())
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "not-for-models"


def test_files_changed_after_validation_are_refused_by_build_and_by_integrity(
    workspace: Workspace,
) -> None:
    write_limits(workspace.models_dir, "tampered")
    version = models.GOOD(workspace, "tampered")
    release = validate_model(workspace, "tampered", version)
    assert_outcomes(release, all_passed())

    models.tamper("tampered", version)

    with pytest.raises(RefusedError, match="gate integrity; expected digest sha256:"):
        build_context(workspace, release)
    assert not (workspace.home / "contexts" / release.id).exists()
    again = validate_model(workspace, "tampered", version)
    assert_outcomes(again, stopped_by("integrity"))
    assert gate_rows(again)["integrity"]["found"] == f"digest {again.digest}"
    assert again.digest != release.digest
    write_limits(workspace.models_dir, "tampered", {"integrity": SKIP})
    anew = validate_model(replace(workspace), "tampered", version)
    assert_outcomes(anew, all_passed(skipped="integrity"))
