"""How a repository on GitHub must be set up for releases, and what has to change (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_release.errors import UsageError
from model_release.github.protection import NAMED, deploying_branches, reviewers

ENVIRONMENTS = ("staging", "production", "audit")
SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
SETTINGS = ("AWS_ROLE", "EKS_CLUSTER")
"""Variables of an environment that give access to its cluster, in place of a kubeconfig."""

ADDRESS = "MLFLOW_TRACKING_URI"
"""Variable of the repository: where its workflows find the registry."""


@dataclass(frozen=True)
class DesiredState:
    """How a repository must be set up.

    Args:
        branch: the only one that deploys.
        reviewers: of production, by login, each with GitHub's number of that person.
        variables: name → value.
    """

    branch: str
    reviewers: Mapping[str, int]
    variables: Mapping[str, str]


@dataclass(frozen=True)
class CurrentState:
    """How a repository is set up now.

    Args:
        environments: name → what GitHub tells of it.
        branches: environment → patterns of its branch policies.
        variables: name → value.
        secrets: names of the repository's secrets.
        environment_secrets: environment → names of its secrets.
        environment_variables: environment → names of its variables.
    """

    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    branches: Mapping[str, Sequence[str]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    environment_secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    environment_variables: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One change: what of, from what, to what, and the request that makes it."""

    what: str
    now: str
    then: str
    method: str
    path: str
    content: Mapping[str, Any]


def check_address(address: str, next_step: str) -> None:
    """Raise UsageError unless workflows can reach a registry at this address."""
    if not address.startswith(("http://", "https://")):
        raise UsageError(
            f"variable {ADDRESS} of this repository",
            expected="the address of an MLflow server, http:// or https://",
            found=address or "nothing",
            next_step=next_step,
        )


def changes(state: CurrentState, wanted: DesiredState) -> tuple[Change, ...]:
    """What has to be changed, in the order in which it has to happen; empty where nothing has."""
    found: list[Change] = []
    for name in ENVIRONMENTS:
        found += _environment(name, state, wanted)
    for name, value in wanted.variables.items():
        now = state.variables.get(name)
        if now != value:
            new = now is None
            found.append(
                Change(
                    f"variable {name}",
                    "none" if now is None else now,
                    value,
                    "POST" if new else "PATCH",
                    "actions/variables" if new else f"actions/variables/{name}",
                    {"name": name, "value": value},
                )
            )
    return tuple(found)


def _environment(name: str, state: CurrentState, wanted: DesiredState) -> Iterator[Change]:
    now, then = _rules(state.environments.get(name)), _wanted_rules(name, wanted)
    if now != then:
        content: dict[str, Any] = {
            "deployment_branch_policy": {
                "protected_branches": False,
                "custom_branch_policies": True,
            }
        }
        if name == "production":
            people = [{"type": "User", "id": number} for number in wanted.reviewers.values()]
            content |= {"reviewers": people, "prevent_self_review": True}
        path = f"environments/{name}"
        yield Change(f"environment {name}", now or "none", then, "PUT", path, content)
    policies = state.branches.get(name, ())
    if wanted.branch not in policies:
        yield Change(
            f"branches of {name}",
            ", ".join(policies) or "none",
            wanted.branch,
            "POST",
            f"environments/{name}/deployment-branch-policies",
            {"name": wanted.branch},
        )


def _rules(environment: Mapping[str, Any] | None) -> str:
    """The rules of an environment in words; "" where there is none."""
    if environment is None:
        return ""
    people, alone = reviewers(environment)
    return _said(sorted(people), alone, deploying_branches(environment))


def _wanted_rules(name: str, wanted: DesiredState) -> str:
    reviewed = name == "production"
    return _said(sorted(wanted.reviewers) if reviewed else [], reviewed, NAMED)


def _said(people: Sequence[str], alone: bool, branches: str) -> str:
    return "; ".join(
        (
            f"reviewers {', '.join(people) or 'none'}",
            f"self-review {'off' if alone else 'on'}",
            branches,
        )
    )


def missing_secrets(state: CurrentState) -> tuple[str, ...]:
    """Secrets that only a person can set, each with the command that sets it."""
    names = set(state.secrets)
    found = []
    if "MLFLOW_TRACKING_TOKEN" not in names and not (
        {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"} <= names
    ):
        found.append(
            "MLflow, if it asks for credentials: gh secret set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    for name in ENVIRONMENTS:
        by_role = set(SETTINGS) <= set(state.environment_variables.get(name, ()))
        if not by_role and "KUBECONFIG" not in state.environment_secrets.get(name, ()):
            found.append(
                f"cluster of {name}: gh secret set KUBECONFIG --env {name} <kubeconfig, or "
                f"gh variable set AWS_ROLE and EKS_CLUSTER --env {name}"
            )
    return tuple(found)
