"""The script that sets a repository up, against the recorded API: shows, applies, is done."""

import json
import runpy
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from model_release import ROOT, commands
from tests.github import REPOSITORY, Recorded, environment, serve

ADDRESS = ["--tracking-uri", "https://mlflow.example.com"]
ARGUMENTS = ["--reviewer", "octocat", *ADDRESS]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    with serve() as server:
        for name, value in {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": server.api,
            "GITHUB_TOKEN": "ghp_token",
        }.items():
            monkeypatch.setenv(name, value)
        for name in ("GITHUB_STEP_SUMMARY", "MLFLOW_TRACKING_URI"):
            monkeypatch.delenv(name, raising=False)
        server.answers["GET "] = {"default_branch": "main", "private": False}
        server.answers["GET /users/octocat"] = {"login": "octocat", "id": 583231}
        yield server


def script(name: str, *arguments: str) -> int:
    main = runpy.run_path(str(ROOT / "scripts" / name))["main"]
    return int(main(list(arguments)))


def made(recorded: Recorded) -> list[tuple[str, Any]]:
    return [(what, content) for what, content in recorded.asked if not what.startswith("GET")]


def test_shows_and_changes_nothing(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert script("setup_github.py", *ARGUMENTS, "--format", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["outcome"] == "to be changed"
    assert "environment production" in [change["what"] for change in shown["changes"]]
    assert any("KUBECONFIG --env production" in text for text in shown["missing"])
    assert made(recorded) == []


def test_apply_sends_what_was_shown(recorded: Recorded) -> None:
    assert script("setup_github.py", *ARGUMENTS, "--apply") == 0
    sent = dict(made(recorded))
    assert sent["PUT environments/production"] == {
        "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
        "reviewers": [{"type": "User", "id": 583231}],
        "prevent_self_review": True,
    }
    assert sent["POST environments/production/deployment-branch-policies"] == {"name": "main"}
    assert ("POST actions/variables") in sent
    assert recorded.tokens == {"Bearer ghp_token"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (ADDRESS, "one to six logins"),
        ([*ADDRESS, "--reviewer", "nobody"], "reviewer 'nobody'"),
        ([*ARGUMENTS, "--variable", "x"], "NAME=VALUE"),
        ([*ARGUMENTS, "--variable", "MLFLOW_TRACKING_URI="], "address of an MLflow server"),
        (["--reviewer", "octocat"], "address of an MLflow server"),
        (["--reviewer", "octocat", "--tracking-uri", "<address>"], "found <address>"),
    ],
)
def test_wrong_usage(
    recorded: Recorded, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script("setup_github.py", *arguments, "--apply") == 2
    assert said in capsys.readouterr().err
    assert made(recorded) == []


def test_what_is_suggested_changes_nothing_as_it_stands(recorded: Recorded) -> None:
    """A variable that is missing in this shell would be emptied, and the reviewers replaced."""
    program, path, *arguments = shlex.split(commands.setup_github())
    assert (program, path) == ("python", "scripts/setup_github.py")
    assert script("setup_github.py", *arguments) == 2
    assert recorded.asked == []


CHECK = ["--model-name", "iris", "--model-version", "1", "--tracking-uri", "http://127.0.0.1:1"]


def test_a_protected_production_may_be_released_into(recorded: Recorded) -> None:
    recorded.protect()
    assert script("check_repository.py", *CHECK) == 0


@pytest.mark.parametrize(
    ("mode", "code"), [("required", 1), ("optional", 0)], ids=["refused", "warned"]
)
def test_an_unprotected_one_is_refused_or_warned_about(
    recorded: Recorded, mode: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.answers["GET environments/production"] = environment(protection_rules=[])
    assert script("check_repository.py", *CHECK, "--protection", mode) == code
    assert "required reviewers: none" in capsys.readouterr().out


def test_up_to_staging_asks_github_nothing(recorded: Recorded) -> None:
    assert script("check_repository.py", *CHECK, "--up-to", "staging") == 0
    assert recorded.asked == []


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--model-name", 'x"; touch pwned; "', "model name"),
        ("--model-name", "$(id)", "model name '$(id)'"),
        ("--model-version", "1;id", "model version '1;id'"),
        ("--up-to", "prodution", "production or staging"),
        ("--protection", "none", "required or optional"),
        ("--tracking-uri", "sqlite:///x.db", "address of an MLflow server"),
    ],
)
def test_an_invalid_option_is_refused_before_anybody_is_asked(
    recorded: Recorded, option: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script("check_repository.py", *CHECK, option, value) == 2
    assert said in capsys.readouterr().err
    assert recorded.asked == []
