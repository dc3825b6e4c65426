"""Whether GitHub protects production, who approved a release, and whether they may (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EVERY_BRANCH = ("*", "**", "**/*")


@dataclass(frozen=True)
class Rule:
    """One rule about an environment: what is required, what was found, whether it holds."""

    name: str
    required: str
    found: str
    holds: bool


def rules(
    name: str, environment: Mapping[str, Any] | None, branches: Sequence[str]
) -> tuple[Rule, ...]:
    """The rules that keep a run from deploying without a person.

    Args:
        name: of the environment.
        environment: as `GET /repos/{owner}/{repo}/environments/{name}` tells it; None: absent.
        branches: patterns of its custom branch policies.
    """
    if environment is None:
        return (Rule("environment", f"{name} exists", "no such environment", holds=False),)
    reviews = [
        rule
        for rule in environment.get("protection_rules") or ()
        if rule.get("type") == "required_reviewers"
    ]
    people = [_name(each) for rule in reviews for each in rule.get("reviewers") or ()]
    alone = bool(reviews) and all(rule.get("prevent_self_review") is True for rule in reviews)
    return (
        Rule("required reviewers", "at least one", ", ".join(people) or "none", bool(people)),
        Rule(
            "self-review",
            "off: who dispatches does not approve",
            "off" if alone else "on",
            alone,
        ),
        _branches(environment.get("deployment_branch_policy"), branches),
    )


def _branches(policy: Mapping[str, Any] | None, patterns: Sequence[str]) -> Rule:
    name, required = "branches", "protected or named branches only"
    if not policy:
        return Rule(name, required, "every branch may deploy", holds=False)
    if policy.get("protected_branches"):
        return Rule(name, required, "protected branches", holds=True)
    open_to_all = not patterns or any(pattern in EVERY_BRANCH for pattern in patterns)
    found = ", ".join(patterns) or "custom policies, none of them named"
    return Rule(name, required, found, holds=not open_to_all)


def _name(reviewer: Mapping[str, Any]) -> str:
    who = reviewer.get("reviewer") or {}
    return str(who.get("login") or who.get("slug") or who.get("name") or "unknown")


@dataclass(frozen=True)
class Review:
    """One person's approval of a deployment."""

    by: str
    comment: str


def approvals(found: Iterable[Mapping[str, Any]], environment: str) -> tuple[Review, ...]:
    """Who approved deployments to an environment, among all that was said about a run."""
    return tuple(
        Review(str(each["user"]["login"]), str(each.get("comment") or ""))
        for each in found
        if each.get("state") == "approved"
        and environment in [place.get("name") for place in each.get("environments") or ()]
    )


def conflict(approvers: Sequence[str], dispatcher: str, trainer: str) -> str:
    """Why these people may not release together, or "": three tasks need three people.

    A task whose person is not known is a conflict: it may be one of the others.
    """
    tasks = {"dispatched the run": dispatcher, "trained the model": trainer}
    for task, person in tasks.items():
        if not person:
            return f"it is not known who {task}"
        for approver in approvers:
            if approver.casefold() == person.casefold():
                return f"{approver} approved and {task}"
    if dispatcher.casefold() == trainer.casefold():
        return f"{dispatcher} dispatched the run and trained the model"
    return ""
