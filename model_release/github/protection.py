"""Whether GitHub protects production, who approved a release, and whether they may (pure)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BRANCH = re.compile(r"[\w./@#=,-]+")
"""A branch by its name: no character that means something in a pattern, to whoever reads it."""

EVERY, PROTECTED, NAMED = "every branch", "protected branches", "named branches"


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
        branches: patterns of its custom branch policies; one of tags is "tag" and its pattern.
    """
    if environment is None:
        return (Rule("environment", f"{name} exists", "no such environment", holds=False),)
    people, alone = reviewers(environment)
    return (
        Rule("required reviewers", "at least one", ", ".join(people) or "none", bool(people)),
        Rule(
            "self-review",
            "off: who dispatches does not approve",
            "off" if alone else "on",
            alone,
        ),
        _branches(deploying_branches(environment), branches),
    )


def reviewers(environment: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Who reviews deployments to an environment; whether who dispatched one cannot."""
    reviews = [
        rule
        for rule in environment.get("protection_rules") or ()
        if rule.get("type") == "required_reviewers"
    ]
    people = [_name(each) for rule in reviews for each in rule.get("reviewers") or ()]
    alone = bool(reviews) and all(rule.get("prevent_self_review") is True for rule in reviews)
    return people, alone


def deploying_branches(environment: Mapping[str, Any]) -> str:
    """Which branches may deploy to an environment: EVERY, PROTECTED or NAMED."""
    policy = environment.get("deployment_branch_policy") or {}
    if policy.get("protected_branches"):
        return PROTECTED
    return NAMED if policy.get("custom_branch_policies") else EVERY


def _branches(which: str, patterns: Sequence[str]) -> Rule:
    name, required = "branches", "protected or named branches only, no patterns and no tags"
    if which == EVERY:
        return Rule(name, required, "every branch may deploy", holds=False)
    if which == PROTECTED:
        return Rule(name, required, PROTECTED, holds=True)
    named = bool(patterns) and all(BRANCH.fullmatch(pattern) for pattern in patterns)
    found = ", ".join(patterns) or "custom policies, none of them named"
    return Rule(name, required, found, holds=named)


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


def people(named: Iterable[str]) -> tuple[str, ...]:
    """Each person once, as first spelled: GitHub's logins know no case. "" is nobody known."""
    found: dict[str, str] = {}
    for name in named:
        found.setdefault(name.casefold(), name)
    return tuple(found.values())


def dispatchers(attempts: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Who dispatched a run and who ran it again, "" among them for an attempt that names nobody.

    Args:
        attempts: the run's attempts in order, as GitHub tells each of them.
    """
    found: list[str] = []
    for each in attempts:
        actors = (each.get("actor"), each.get("triggering_actor"))
        logins = [str(actor["login"]) for actor in actors if actor and actor.get("login")]
        found += logins or [""]
    return people(found)


def conflict(approvers: Sequence[str], dispatchers: Sequence[str], trainers: Sequence[str]) -> str:
    """Why these people may not release together, or "": three tasks need different people.

    A task of which somebody is not known is a conflict: it may be one of the others.
    """
    tasks = {"dispatched the run": dispatchers, "trained the model": trainers}
    for task, persons in tasks.items():
        if not persons or "" in persons:
            return f"it is not known who {task}"
        if both := _both(approvers, persons):
            return f"{both} approved and {task}"
    if both := _both(dispatchers, trainers):
        return f"{both} dispatched the run and trained the model"
    return ""


def _both(some: Sequence[str], others: Sequence[str]) -> str:
    """The first who is among both, or ""."""
    known = {person.casefold() for person in others}
    return next((person for person in some if person.casefold() in known), "")
