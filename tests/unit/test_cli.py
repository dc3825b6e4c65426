"""What all scripts share: exit codes, one error line, where the report goes."""

import argparse
import errno
import json
from pathlib import Path

import pytest

from model_release import cli
from model_release.errors import OutsideError, RefusedError, ReleaseError, UsageError
from model_release.report import Report
from model_release.workspace import Workspace

OK = Report("thing", "passed", lines=["done"], data={"thing": 1})


def options() -> argparse.ArgumentParser:
    return cli.parser("Do a thing.", "python scripts/thing.py")


def giving(report: Report) -> cli.Action:
    return lambda arguments, workspace: report


def raising(error: BaseException) -> cli.Action:
    def action(arguments: argparse.Namespace, workspace: Workspace) -> Report:
        raise error

    return action


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODEL_VERSION", "MLFLOW_TRACKING_URI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODEL_NAME", "iris")
    monkeypatch.setenv("RELEASE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("no", next_step=""), 1),
        (UsageError("wrong", next_step=""), 2),
        (OutsideError("down", next_step=""), 3),
        (ReleaseError("other", next_step=""), 3),
        (KeyboardInterrupt(), 3),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/none"), 3),
        (OSError(errno.ENOSPC, "No space left on device"), 3),
        (ZeroDivisionError("a bug"), 3),
    ],
)
def test_exit_code_and_one_line(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(options(), [], raising(error)) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err


def test_a_full_disk_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def action(arguments: argparse.Namespace, workspace: Workspace) -> Report:
        Path("/dev/full").write_text("more than it holds")
        return OK

    assert cli.run(options(), [], action) == 3
    assert capsys.readouterr().err == (
        "error: disk full; found [Errno 28] No space left on device; "
        "next: free space and run the same command again\n"
    )


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(options(), ["--debug"], raising(ZeroDivisionError("a bug"))) == 3
    assert "Traceback" in capsys.readouterr().err


def test_report_decides_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    refused = Report("thing", "refused", exit_code=1)
    assert cli.run(options(), [], giving(refused)) == 1
    assert "thing: refused" in capsys.readouterr().out


def test_json_on_standard_output_even_for_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    error = UsageError("wrong", expected="right", found="left", next_step="turn")
    assert cli.run(options(), ["--format", "json"], raising(error)) == 2
    assert json.loads(capsys.readouterr().out) == {
        "outcome": "error",
        "error": {"what": "wrong", "expected": "right", "found": "left", "next_step": "turn"},
    }


def test_output_file_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.json"
    assert cli.run(options(), ["--format", "json", "-o", str(file)], giving(OK)) == 0
    assert json.loads(file.read_text()) == {"outcome": "passed", "thing": 1}
    assert list(file.parent.iterdir()) == [file]


def test_output_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(options(), ["-o", "/proc/none/report"], giving(OK)) == 3
    assert capsys.readouterr().err.startswith("error: report:")


def test_job_summary_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert cli.run(options(), ["-o", str(tmp_path / "x")], giving(OK)) == 0
    assert cli.run(options(), [], raising(RefusedError("no such luck", next_step=""))) == 1
    text = summary.read_text()
    assert text.startswith("before\n## ✅ thing: passed\n")
    assert "no such luck" in text


def test_environment_variables_are_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_VERSION", "7")
    seen = []
    action: cli.Action = lambda arguments, _: seen.append(arguments) or OK  # type: ignore[func-returns-value]  # noqa: E731
    cli.run(options(), [], action)
    cli.run(options(), ["--model-version", "8"], action)
    assert [(a.model_name, a.model_version) for a in seen] == [("iris", "7"), ("iris", "8")]


def test_a_missing_model_name_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MODEL_NAME")
    assert cli.run(options(), [], giving(OK)) == 2
    assert "--model-name or MODEL_NAME" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80 80"])
def test_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("STAGING_PORT", port)
    with pytest.raises(UsageError, match="STAGING_PORT"):
        cli._port("STAGING_PORT", 8181)
