"""What version 0.1 released is audited, described and rolled back to by the code of today.

Command lines, exit codes, reports and files are all that this test knows of either.
"""

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.script_runner import MODEL, ROOT, ScriptRunner, make_script_runner

EARLIER = ROOT / "tests/data/releases-of-0.1"
RELEASES = {"1": "08c217c6e6ec425fabe947e14186ef37", "2": "edb168610bbe41c8b361e5af9748ecd5"}
FIRST, SECOND = "2026-11-28T07:07:07.098+00:00", "2026-11-28T07:08:10.748+00:00"
"""When each became champion."""

REASON = "wrong answers since Monday"


@pytest.fixture
def runner(tmp_path: Path, shared: Path) -> Iterator[ScriptRunner]:
    """As a machine that is switched on again, with the state folder of 0.1."""
    made = make_script_runner(tmp_path, shared)
    made.environment["RELEASE_ACTOR"] = "joan"
    for name in ("artifacts", "contexts", "local"):
        shutil.copytree(EARLIER / name, made.home / name)
    dump = (EARLIER / "mlflow.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(made.home / "mlflow.db")) as database:
        database.executescript(dump.replace("@HOME@", str(made.home)))
    yield made
    made.run("scripts/release_status.py", "--stop")


def report(runner: ScriptRunner, script: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    """What a script tells as JSON."""
    out, _ = runner.run(f"scripts/{script}", "--format", "json", *arguments, code=code)
    told: dict[str, Any] = json.loads(out)
    return told


def identity(version: str) -> dict[str, str]:
    """What the context of a version's release says that it is."""
    told = json.loads(
        (EARLIER / "contexts" / RELEASES[version] / "release.json").read_text("utf-8")
    )
    return {name: told[name] for name in ("model", "version", "digest", "release")}


def evidence(home: Path, version: str) -> Path:
    """The files of a version's release in the registry."""
    return home / "artifacts/releases" / MODEL / RELEASES[version] / "artifacts"


def content(folder: Path) -> dict[Path, bytes]:
    """Every file of a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def aliases(home: Path) -> dict[str, str]:
    """The registry's aliases, as MLflow keeps them."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        rows = database.execute("SELECT alias, version FROM registered_model_aliases").fetchall()
    return {alias: str(version) for alias, version in rows}


def move(number: int, how: str, version: str, since: str, until: str) -> dict[str, object]:
    """A line of the history."""
    return {
        "number": number,
        "how": how,
        "version": version,
        "since": since,
        "until": until,
        "release": RELEASES[version],
        "approved_by": {"1": "ada", "2": "grace"}[version],
        "by": "joan" if how == "rollback" else "ada",
        "why": REASON if how == "rollback" else "",
    }


def describe(runner: ScriptRunner, version: str, since: str) -> str:
    """Let the page of a version's release be made, and return it."""
    sheet = runner.home / f"{version}.html"
    named = ("--model-version", version, "--html", str(sheet))
    told = report(runner, "describe_release.py", *named)
    assert told == {
        "outcome": "passed",
        "release": RELEASES[version],
        "lead": f"{MODEL} {version} is champion since {since}.",
    }
    kept = evidence(runner.home, version) / "page"
    assert sheet.read_text(encoding="utf-8") == (kept / "release.html").read_text(encoding="utf-8")
    return (kept / "release.md").read_text(encoding="utf-8")


def page(version: str) -> str:
    """The page that 0.1 made of it; its way back has had one spelling of the reason since."""
    text = (EARLIER / "pages" / f"{version}.md").read_text(encoding="utf-8")
    text = text.replace('-f reason="why"', "-f 'reason=<reason>'")
    return text.replace('--reason "why"', "--reason '<reason>'")


def check_before(runner: ScriptRunner) -> None:
    """All that 0.1 left is understood: version 2 is champion, and nothing serves it."""
    assert report(runner, "release_history.py") == {
        "outcome": "version 2",
        "model": MODEL,
        "alias": "champion",
        "entries": [
            move(1, "promotion", "1", FIRST, SECOND),
            move(2, "promotion", "2", SECOND, ""),
        ],
    }
    down = {**identity("2"), "champion": "2", "replicas": 0}
    assert report(runner, "release_status.py") == {
        "outcome": "something is down",
        "deployments": [
            {
                "environment": "production",
                "url": "http://127.0.0.1:8180",
                "since": "2026-11-28T07:08:10+00:00",
                **down,
            },
            {
                "environment": "staging",
                "url": "http://127.0.0.1:8181",
                "since": "2026-11-28T07:08:00+00:00",
                **down,
            },
        ],
    }
    assert describe(runner, "2", SECOND) == page("2")
    assert report(runner, "audit_release.py", code=1) == {
        "outcome": "refused",
        "models": [MODEL],
        "differences": [
            {
                "kind": "nothing-serves",
                "model": MODEL,
                "expected": f"version 2, release {RELEASES['2'][:8]}",
                "found": "no server that answers",
                "cause": "somebody ended or deleted it, or it died",
                "mend": f"python scripts/rollback_model.py --model-name {MODEL} "
                f"--release {RELEASES['2']} --reason 'production is not as released' "
                "--target local",
                "fixable": False,
            }
        ],
        "fixed": [],
        "notes": [],
    }


def roll_back(runner: ScriptRunner) -> str:
    """Go back to the champion before; return since when it is champion again."""
    told = report(runner, "rollback_model.py", "--reason", REASON)
    since = str(told["since"])
    assert told == {
        "outcome": "passed",
        "model": MODEL,
        "champion": "1",
        "before": "2",
        "digest": identity("1")["digest"],
        "release": RELEASES["1"],
        "production": runner.production,
        "since": since,
        "by": "joan",
        "reason": REASON,
    }
    return since


def check_production(runner: ScriptRunner) -> None:
    """Version 1 serves at production's address, and answers as it did when it was validated."""
    served = requests.get(f"{runner.production}/model", timeout=30).json()
    assert {"model": served.pop("name"), **served} == identity("1")
    golden = json.loads((evidence(EARLIER, "1") / "validate/golden.json").read_text("utf-8"))
    assert len(golden) == 2
    for case in golden:
        answer = requests.post(f"{runner.production}/invocations", json=case["request"], timeout=30)
        assert answer.json() == {"predictions": case["predictions"]}


def check_after(runner: ScriptRunner, since: str) -> None:
    """All agrees, and the history says what happened; what was built then is as it was."""
    assert report(runner, "audit_release.py") == {
        "outcome": "passed",
        "models": [MODEL],
        "differences": [],
        "fixed": [],
        "notes": [],
    }
    assert describe(runner, "1", since) == page("1").replace(FIRST, since)
    assert report(runner, "release_history.py")["entries"] == [
        move(1, "promotion", "1", FIRST, SECOND),
        move(2, "promotion", "2", SECOND, since),
        move(3, "rollback", "1", since, ""),
    ]
    assert aliases(runner.home) == {"champion": "1", "previous-champion": "2", "staging": "2"}
    assert content(runner.home / "contexts") == content(EARLIER / "contexts")


def check_stopped(runner: ScriptRunner) -> None:
    """Nothing that was started outlives a stop."""
    stopped = report(runner, "release_status.py", "--stop")["stopped"]
    assert [(each["environment"], each["version"], each["replicas"]) for each in stopped] == [
        ("production", "1", 1),
        ("staging", "2", 0),
    ]
    left = subprocess.run(
        ["pgrep", "--full", str(runner.home)], capture_output=True, text=True, check=False
    )
    assert (left.returncode, left.stdout) == (1, "")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{runner.production}/ping", timeout=30)


@pytest.mark.long
def test_a_release_of_0_1_is_told_audited_described_and_gone_back_to(runner: ScriptRunner) -> None:
    check_before(runner)
    since = roll_back(runner)
    check_production(runner)
    check_after(runner, since)
    check_stopped(runner)
