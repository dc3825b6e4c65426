"""Is production guarded, and who may approve: decided over what GitHub answers."""

from typing import Any

import pytest

from model_release.github.protection import approvals, conflict, rules
from tests.github import approval, environment

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
        ({}, ["main", "*"], ["branches"]),
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
    ("approvers", "dispatcher", "trainer", "problem"),
    [
        (["octocat"], "ada", "ben", ""),
        (["Ada"], "ada", "ben", "Ada approved and dispatched the run"),
        (["octocat", "ben"], "ada", "ben", "ben approved and trained the model"),
        (["octocat"], "ada", "ADA", "ada dispatched the run and trained the model"),
        (["octocat"], "ada", "", "it is not known who trained the model"),
        (["octocat"], "", "ben", "it is not known who dispatched the run"),
    ],
)
def test_three_people(approvers: list[str], dispatcher: str, trainer: str, problem: str) -> None:
    assert conflict(approvers, dispatcher, trainer) == problem
