"""The one issue of the audit, from the report to GitHub."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_release import ROOT
from model_release.errors import OutsideError
from model_release.github.audit_issue import LABEL, next_step
from tests.github import REPOSITORY, Recorded, serve

MOVED = {
    "kind": "alias-moved",
    "model": "fraud",
    "expected": "champion at version 2",
    "found": "version 1 | <b>",
    "cause": "somebody moved it by hand",
    "mend": "python scripts/audit_release.py --fix",
}


def report(*differences: dict[str, Any]) -> dict[str, Any]:
    return {"outcome": "refused" if differences else "passed", "differences": list(differences)}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    with serve() as server:
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_API_URL", server.api)
        monkeypatch.setenv("GITHUB_TOKEN", "ghs_token")
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        yield server


def run(folder: Path, content: dict[str, Any]) -> int:
    path = folder / "audit.json"
    path.write_text(json.dumps(content))
    return int(runpy.run_path(str(ROOT / "scripts/report_audit.py"))["main"]([str(path)]))


def test_opened_updated_and_closed_and_never_twice(recorded: Recorded, tmp_path: Path) -> None:
    assert run(tmp_path, report()) == 0
    assert recorded.issues == []
    for _ in range(2):
        assert run(tmp_path, report(MOVED)) == 0
    (issue,) = recorded.issues
    assert issue["title"] == "Production is not what the registry says: fraud"
    assert issue["labels"] == [LABEL]
    assert "version 1 \\| &lt;b>" in issue["body"]
    assert "python scripts/audit_release.py --fix" in issue["body"]
    assert issue["comments"] == []
    assert run(tmp_path, report(MOVED, {**MOVED, "model": "churn"})) == 0
    assert issue["title"].endswith("churn, fraud")
    assert issue["comments"] == ["2 differences now; the table above is up to date."]
    assert run(tmp_path, report()) == 0
    assert (issue["state"], issue["comments"][1:]) == ("closed", ["Nothing differs any more."])
    assert run(tmp_path, report(MOVED)) == 0
    assert len(recorded.issues) == 2, "a closed issue is not opened again: it is history"


def test_an_audit_that_could_not_be_made_closes_nothing(recorded: Recorded, tmp_path: Path) -> None:
    run(tmp_path, report(MOVED))
    assert run(tmp_path, {"outcome": "error", "error": {"what": "MLflow"}}) == 3
    assert runpy.run_path(str(ROOT / "scripts/report_audit.py"))["main"](["/nowhere"]) == 3
    assert [issue["state"] for issue in recorded.issues] == ["open"]


def test_the_oldest_issue_is_the_one() -> None:
    issues = [{"number": 3, "title": "", "body": ""}, {"number": 9, "title": "", "body": ""}]
    assert next_step(report(MOVED), issues).number == 3


def test_a_report_without_differences_is_none() -> None:
    with pytest.raises(OutsideError, match="the issue was not changed"):
        next_step({"models": []}, [])
