"""Is production guarded, and who may approve: decided over what GitHub answers."""

from typing import Any

import pytest

from model_release.github.protection import approvals, conflict, dispatchers, rules
from tests.github import approval, environment

PATTERNS = ("*", "**/*", "main+*a*", "ma?n", "[m]ain", "main\\*", "{main,x}", "!x", "tag main", "")
REVIEWERS = environment()["protection_rules"][0]


def broken(found: dict[str, Any] | None, branches: list[str]) -> list[str]:
    return [rule.name for rule in rules("production", found, branches) if not rule.holds]


def test_protected_as_it_should_be() -> None:
    found = rules("production", environment(), ["main"])
    assert [(rule.name, rule.found) for rule in found] == [
        ("required reviewers", "octocat, release"),
        ("self-review", "off"),
        ("branches", "main"),
    ]
    assert all(rule.holds for rule in found)


@pytest.mark.parametrize(
    ("changes", "branches", "names"),
    [
        ({"protection_rules": []}, ["main"], ["required reviewers", "self-review"]),
        ({"protection_rules": None}, ["main"], ["required reviewers", "self-review"]),
        (
            {"protection_rules": [{**REVIEWERS, "reviewers": []}]},
            ["main"],
            ["required reviewers"],
        ),
        (
            {"protection_rules": [{**REVIEWERS, "prevent_self_review": False}]},
            ["main"],
            ["self-review"],
        ),
        ({"deployment_branch_policy": None}, [], ["branches"]),
        ({}, [], ["branches"]),
        *(({}, ["main", pattern], ["branches"]) for pattern in PATTERNS),
        ({"deployment_branch_policy": {"protected_branches": True}}, [], []),
    ],
)
def test_each_hole_is_named(changes: dict[str, Any], branches: list[str], names: list[str]) -> None:
    assert broken(environment(**changes), branches) == names


def test_no_environment_is_no_protection() -> None:
    assert broken(None, []) == ["environment"]


def test_only_approvals_of_production_count() -> None:
    said = [
        approval("ada", "rejected"),
        approval("ben", place="staging"),
        approval("octocat"),
    ]
    assert [(review.by, review.comment) for review in approvals(said, "production")] == [
        ("octocat", "Ship it!")
    ]


@pytest.mark.parametrize(
    ("approvers", "dispatchers", "trainers", "problem"),
    [
        (["octocat"], ["ada"], ["ben"], ""),
        (["octocat"], ["ada", "eve"], ["ben", "joan"], ""),
        (["Ada"], ["ada"], ["ben"], "Ada approved and dispatched the run"),
        (["Ada"], ["eve", "ada"], ["ben"], "Ada approved and dispatched the run"),
        (["octocat", "ben"], ["ada"], ["ben"], "ben approved and trained the model"),
        (["octocat"], ["ada"], ["ben", "Octocat"], "octocat approved and trained the model"),
        (["octocat"], ["ada"], ["ADA"], "ada dispatched the run and trained the model"),
        (
            ["octocat"],
            ["eve", "ada"],
            ["ben", "ada"],
            "ada dispatched the run and trained the model",
        ),
        (["octocat"], ["ada"], [], "it is not known who trained the model"),
        (["octocat"], [], ["ben"], "it is not known who dispatched the run"),
        (["octocat"], ["ada", ""], ["ben"], "it is not known who dispatched the run"),
    ],
)
def test_three_people(
    approvers: list[str], dispatchers: list[str], trainers: list[str], problem: str
) -> None:
    assert conflict(approvers, dispatchers, trainers) == problem


def test_whoever_ran_it_again_has_dispatched_it_too() -> None:
    attempts = [
        {"actor": {"login": "ada"}, "triggering_actor": {"login": "ada"}},
        {"actor": {"login": "ada"}, "triggering_actor": {"login": "eve"}},
        {"actor": {"login": "Ada"}, "triggering_actor": None},
    ]
    assert dispatchers(attempts) == ("ada", "eve")
    assert dispatchers([*attempts, {}]) == ("ada", "eve", "")
