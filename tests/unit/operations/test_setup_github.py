"""The script that sets a repository up, against the recorded API: shows, applies, is done."""

import json
import runpy
from collections.abc import Iterator
from typing import Any

import pytest

from model_release import ROOT
from tests.github import REPOSITORY, Recorded, environment, serve

ARGUMENTS = ["--reviewer", "octocat", "--tracking-uri", "https://mlflow.example.com"]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    with serve() as server:
        for name, value in {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": server.api,
            "GITHUB_TOKEN": "ghp_token",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
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
        ([], "one to six logins"),
        (["--reviewer", "nobody"], "reviewer 'nobody'"),
        (["--reviewer", "octocat", "--variable", "x"], "NAME=VALUE"),
    ],
)
def test_wrong_usage(
    recorded: Recorded, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script("setup_github.py", *arguments, "--apply") == 2
    assert said in capsys.readouterr().err
    assert made(recorded) == []


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
