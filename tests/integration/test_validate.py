"""The station validate and its script: what it says, what it leaves behind, how it ends."""

import hashlib
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from model_release import ROOT
from model_release.errors import UsageError
from model_release.gates import gates
from model_release.releases import load, newest, started
from model_release.stations.run_release import validation_report
from model_release.stations.validate_model import validate_model
from model_release.workspace import Workspace
from tests.bad_models import models
from tests.bad_models.limits import write_limits
from tests.waiting import until

SCRIPT = ROOT / "scripts" / "validate_model.py"
Main = Callable[[list[str]], int]


@pytest.fixture(scope="module")
def main() -> Main:
    """The script's own `main`, in this process: an import of mlflow saved for each call."""
    spec = importlib.util.spec_from_file_location("validate_model", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Main = module.main
    return found


def options(workspace: Workspace, name: str, *more: str) -> list[str]:
    places = ["--home", str(workspace.home), "--models-dir", str(workspace.models_dir)]
    return [*places, "--model-name", name, *more]


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_script_reports_a_pass_and_the_model_is_not_told_its_secrets(
    workspace: Workspace, tmp_path: Path
) -> None:
    write_limits(workspace.models_dir, "by-script")
    models.LOOKS_FOR_SECRETS(workspace, "by-script")
    report, summary = tmp_path / "reports" / "report.json", tmp_path / "summary.md"
    summary.write_text("before\n")

    process = start(
        options(workspace, "by-script", "--format", "json", "-o", str(report)),
        GITHUB_STEP_SUMMARY=str(summary),
        AWS_SECRET_ACCESS_KEY="not-for-models",
        MLFLOW_TRACKING_PASSWORD="not-for-models",
        GITHUB_TOKEN="not-for-models",
    )
    out, err = process.communicate(timeout=300)

    assert (process.returncode, out) == (0, ""), err
    written = json.loads(report.read_text())
    assert (written["outcome"], written["exit_code"], written["version"]) == ("passed", 0, "1")
    assert [row["gate"] for row in written["gates"]] == list(gates())
    assert {row["status"] for row in written["gates"]} == {"passed"}
    assert written["metrics"]["accuracy"] == {"challenger": 1.0}
    marked = [line.split()[1] for line in err.splitlines() if line.strip().startswith("✓")]
    assert marked == list(gates())
    before, heading, *_ = summary.read_text().splitlines()
    assert (before, heading) == ("before", "## ✅ by-script 1: passed")
    assert "| golden | ✅ passed |" in summary.read_text()


def test_release_and_version_say_what_was_judged(workspace: Workspace) -> None:
    write_limits(workspace.models_dir, "judged")
    version = models.GOOD(workspace, "judged")

    release = validate_model(workspace, "judged", None)

    assert load(workspace.registry, release.id).tags.items() >= release.tags.items()
    lock = release.text("validate/requirements.lock")
    source = MlflowClient().get_model_version("judged", version).run_id
    said = {
        "release.model": "judged",
        "release.version": version,
        "release.champion": "",
        "release.config": workspace.config("judged").digest,
        "release.source_run": source,
        "release.state": "open",
        "release.validated": "passed",
        "release.lock": hashlib.sha256(lock.encode()).hexdigest(),
        "station.validate": "passed",
    }
    assert release.tags.items() >= said.items()
    metrics = MlflowClient().get_run(release.id).data.metrics
    assert metrics["measured_metrics.accuracy"] == metrics["claimed_metrics.claimed_accuracy"] == 1
    assert metrics["row_independence.independent"] == 1
    assert workspace.registry.version("judged", version).tags == {
        "validation_status": "passed",
        "validated_at": release.tags["station.validate.at"],
        "validation_release": release.id,
    }


@pytest.mark.parametrize("style", ["json", "markdown", "table"])
def test_script_reports_a_refusal(
    style: str, workspace: Workspace, main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"refused-{style}"
    write_limits(workspace.models_dir, name)
    models.UNLOCKABLE(workspace, name)

    assert main(options(workspace, name, "--quiet", "--format", style)) == 1

    out = capsys.readouterr().out
    release = started(workspace.registry, name, "1")
    judged = release.json("validate/report.json")
    assert (judged["outcome"], judged["exit_code"]) == ("refused", 1)
    assert [row["status"] for row in judged["gates"]] == ["passed", "failed", *["not reached"] * 10]
    if style == "json":
        assert json.loads(out) == judged
    else:
        heading = {"markdown": f"## ❌ {name} 1: refused", "table": f"{name} 1: refused"}[style]
        assert out.splitlines()[0] == heading
        last = validation_report(release).lines[-1]
        assert last.startswith("gate environment failed; next: correct pip_requirements=")
        assert last in out.splitlines()
    assert release.state == "refused"
    assert "release.validated" not in release.tags
    assert MlflowClient().get_run(release.id).info.status == "FAILED"
    files = MlflowClient().list_artifacts(release.id, "validate")
    assert [file.path for file in files] == ["validate/report.json"]
    assert workspace.registry.version(name, "1").tags["validation_status"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("no-such-model",), "model 'no-such-model'; expected a registered model"),
        (("known", "--model-version", "7"), "model version known 7; expected a version that is"),
        (("known", "--model-version", "1; rm"), "model version '1; rm'; expected a positive whole"),
        (("../known",), "model name '../known'; expected 1 to 200 letters"),
        (("",), "model name; expected --model-name or MODEL_NAME; found neither"),
        (("no-files",), "files of no-files 1; expected an MLflow model"),
        (("typo",), "gates.latency.single_p50_msec: unknown key; expected single_p50_ms"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_no_release(
    arguments: tuple[str, ...],
    says: str,
    workspace: Workspace,
    main: Main,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("known", "no-files"):
        write_limits(workspace.models_dir, name)
    write_limits(workspace.models_dir, "typo", {"latency": {"single_p50_msec": 5}})
    if not workspace.registry.has_versions("known"):
        models.GOOD(workspace, "known")
        models.GOOD(workspace, "typo")
        empty = workspace.home / "artifacts" / "empty"
        empty.mkdir(parents=True)
        MlflowClient().create_registered_model("no-files")
        MlflowClient().create_model_version("no-files", empty.as_uri())
    capsys.readouterr()

    assert main(options(workspace, *arguments)) == 2

    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert says in lines[0]
    assert "; next: " in lines[0]
    assert "Traceback" not in captured.err
    for name in ("known", "typo", "no-files"):
        assert newest(workspace.registry, name, "1") is None


def test_holdout_that_changed_is_wrong_usage_named_by_its_gate(
    workspace: Workspace, main: Main
) -> None:
    write_limits(workspace.models_dir, "changed-holdout")
    with (workspace.models_dir / "holdout.parquet").open("ab") as file:
        file.write(b"more")
    models.GOOD(workspace, "changed-holdout")

    assert main(options(workspace, "changed-holdout", "--quiet")) == 2

    judged = started(workspace.registry, "changed-holdout", "1").json("validate/report.json")
    stopped = next(row for row in judged["gates"] if row["status"] != "passed")
    assert (stopped["gate"], stopped["status"]) == ("measured_metrics", "error")
    assert stopped["required"].startswith("SHA-256 ")
    assert re.fullmatch(r"holdout \S+: [0-9a-f]{64}", stopped["found"])
    assert stopped["next_step"].startswith("restore the file")
    assert judged["exit_code"] == 2


def test_registry_that_is_down_is_an_outside_fault(
    workspace: Workspace,
    main: Main,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGISTRY_RETRY_SECONDS", "0")
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        uri = f"http://user:password@127.0.0.1:{nobody_listens.getsockname()[1]}"
        assert main(options(workspace, "any", "--tracking-uri", uri)) == 3

    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error"))
    assert line.startswith("error: MLflow at http://127.0.0.1:")
    assert "next: check that the server is up" in line
    assert "password" not in line


def test_a_later_validation_replaces_one_that_is_open(workspace: Workspace) -> None:
    write_limits(workspace.models_dir, "again")
    version = models.GOOD(workspace, "again")
    first = validate_model(workspace, "again", version)

    second = validate_model(workspace, "again", version)

    given_way = load(workspace.registry, first.id)
    assert given_way.state == "superseded"
    assert given_way.tags["release.superseded_by"] == second.id
    assert MlflowClient().get_run(first.id).info.status == "KILLED"
    assert started(workspace.registry, "again", version).id == second.id
    assert second.digest == first.digest
    assert second.tags["release.lock"] == first.tags["release.lock"]
    assert second.text("validate/golden.json") == first.text("validate/golden.json")


def processes_below(folder: Path) -> list[int]:
    """Processes whose working folder lies in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
        except OSError:  # ended meanwhile
            continue
    return found


def test_killed_validation_leaves_no_process_and_an_open_release_that_gives_way(
    workspace: Workspace,
) -> None:
    write_limits(workspace.models_dir, "killed")
    version = models.HANGS_AT_LOAD(workspace, "killed")
    process = start(options(workspace, "killed"))
    assert process.stderr is not None
    assert any("✓ serialization" in line for line in process.stderr), "ended before it was killed"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)

    until(lambda: processes_below(workspace.home) == [], seconds=60)
    interrupted = started(workspace.registry, "killed", version)
    assert (interrupted.state, interrupted.tags.get("station.validate")) == ("open", None)
    with pytest.raises(UsageError, match="expected station validate passed; found not run"):
        interrupted.require_before("build")

    write_limits(workspace.models_dir, "killed", {"loadable": {"max_seconds": 2}})
    after = validate_model(workspace, "killed", version)

    assert (after.state, after.id != interrupted.id) == ("refused", True)
    assert load(workspace.registry, interrupted.id).state == "superseded"
