"""What a repository has to be, what it is, and the requests between."""

from dataclasses import replace

import pytest

from model_release.github.repository import CurrentState, DesiredState, changes, missing_secrets
from tests.github import environment

WANTED = DesiredState("main", {"octocat": 1}, {"MLFLOW_TRACKING_URI": "https://mlflow.example.com"})
OPEN = {"protection_rules": [], "deployment_branch_policy": {"custom_branch_policies": True}}


def guarded() -> dict[str, object]:
    reviews = {
        "type": "required_reviewers",
        "prevent_self_review": True,
        "reviewers": [{"type": "User", "reviewer": {"login": "octocat"}}],
    }
    return environment(protection_rules=[reviews])


def ready() -> CurrentState:
    names = ("staging", "production", "audit")
    return CurrentState(
        environments={"staging": OPEN, "production": guarded(), "audit": OPEN},
        branches={key: ["main"] for key in names},
        variables={"MLFLOW_TRACKING_URI": "https://mlflow.example.com"},
        secrets=["MLFLOW_TRACKING_TOKEN"],
        environment_secrets={key: ["KUBECONFIG"] for key in names},
    )


def test_a_new_repository_gets_everything_in_order() -> None:
    found = changes(CurrentState(), WANTED)
    assert [f"{change.method} {change.path}" for change in found] == [
        "PUT environments/staging",
        "POST environments/staging/deployment-branch-policies",
        "PUT environments/production",
        "POST environments/production/deployment-branch-policies",
        "PUT environments/audit",
        "POST environments/audit/deployment-branch-policies",
        "POST actions/variables",
    ]
    production = found[2]
    assert production.content["reviewers"] == [{"type": "User", "id": 1}]
    assert production.content["prevent_self_review"] is True
    assert (production.now, production.then) == (
        "none",
        "reviewers octocat; self-review off; named branches",
    )


def test_nothing_to_do() -> None:
    assert changes(ready(), WANTED) == ()
    assert missing_secrets(ready()) == ()


def test_what_differs_is_changed_and_nothing_else() -> None:
    state = ready()
    other = DesiredState("main", {"hubot": 2}, {"MLFLOW_TRACKING_URI": "https://other.example.com"})
    found = [(change.what, change.now, change.then) for change in changes(state, other)]
    rest = "self-review off; named branches"
    assert found == [
        ("environment production", f"reviewers octocat; {rest}", f"reviewers hubot; {rest}"),
        (
            "variable MLFLOW_TRACKING_URI",
            "https://mlflow.example.com",
            "https://other.example.com",
        ),
    ]


@pytest.mark.parametrize(
    ("found", "now"),
    [
        (
            {"deployment_branch_policy": {"protected_branches": True}},
            "reviewers octocat, release; self-review off; protected branches",
        ),
        (
            {"deployment_branch_policy": None},
            "reviewers octocat, release; self-review off; every branch",
        ),
        (
            {"protection_rules": [{"type": "required_reviewers", "reviewers": [{"type": "User"}]}]},
            "reviewers unknown; self-review on; named branches",
        ),
        (
            {"protection_rules": [{"type": "required_reviewers", "prevent_self_review": "yes"}]},
            "reviewers none; self-review on; named branches",
        ),
    ],
)
def test_what_is_there_is_read_as_the_check_of_protection_reads_it(
    found: dict[str, object], now: str
) -> None:
    there = {**ready().environments, "production": environment(**found)}
    (change,) = changes(replace(ready(), environments=there), WANTED)
    assert (change.what, change.now) == ("environment production", now)


def test_missing_secrets_are_named_with_the_command_that_sets_them() -> None:
    found = missing_secrets(
        CurrentState(environment_variables={"staging": ["AWS_ROLE", "EKS_CLUSTER"]})
    )
    assert [text.partition(":")[0] for text in found] == [
        "MLflow, if it asks for credentials",
        "cluster of production",
        "cluster of audit",
    ]
    assert "gh secret set KUBECONFIG --env production" in found[1]
