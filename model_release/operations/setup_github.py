"""The setup of a repository on GitHub for releases: the changes it needs, shown or made."""

import os
from collections.abc import Iterable, Sequence

from model_release.errors import OutsideError, UsageError
from model_release.github import GitHub, repository
from model_release.github.repository import ENVIRONMENTS, SECRETS, SETTINGS, Change, CurrentState
from model_release.processes.tools import call
from model_release.report import Report, Table

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = ".github/workflows/model-deploy.yaml"


def setup_github(
    name: str,
    tracking_uri: str,
    reviewers: Sequence[str],
    branch: str,
    variables: Sequence[str],
    *,
    apply: bool,
) -> Report:
    """Compare the repository with what it should be; with `apply` change it.

    Args:
        name: owner/name; "" for the one of this environment.
        tracking_uri: address of the registry, kept as a variable.
        reviewers: logins of those who approve production, one to six.
        branch: the only one that deploys; "" for the default branch.
        variables: more of them, each NAME=VALUE.
        apply: whether to change anything.

    Raises:
        UsageError: a repository, reviewer or variable that does not exist or is invalid; no
            address of a registry, which is refused before anybody is asked.
        OutsideError: GitHub did not answer, or there is no token for it.
    """
    given = {repository.ADDRESS: tracking_uri, **dict(_pair(text) for text in variables)}
    repository.check_address(given[repository.ADDRESS], "give --tracking-uri ADDRESS")
    github = _github(name)
    default_branch = _default_branch(github)  # refuses what is no repository
    branch = branch or default_branch
    wanted = repository.DesiredState(branch, _people(github, reviewers), {
        "COSIGN_ISSUER": ISSUER,
        "COSIGN_IDENTITY": f"https://github.com/{github.repository}/{WORKFLOW}@refs/heads/{branch}",
        **given,
    })  # fmt: skip
    state = _state(github, wanted.variables)
    changes = repository.changes(state, wanted)
    if apply:
        for change in changes:
            github.change(change.method, change.path, change.content)
    return _report(github.repository, changes, repository.missing_secrets(state), applied=apply)


def _report(
    name: str, changes: Sequence[Change], missing: Sequence[str], *, applied: bool
) -> Report:
    rows = [(change.what, change.now, change.then) for change in changes]
    lines = [f"missing: {text}" for text in missing]
    if changes and not applied:
        lines.append("nothing was changed: run it again with --apply")
    return Report(
        title=f"repository {name}",
        outcome=("changed" if applied else "to be changed") if changes else "passed",
        tables=[Table("Changes", ("what", "now", "then"), rows)] if rows else [],
        lines=lines,
        data={"changes": [vars(change) for change in changes], "missing": list(missing)},
    )


def _default_branch(github: GitHub) -> str:
    """The repository's default branch; a repository that is not seen is refused here."""
    about = github.find("")
    if about is None:
        raise UsageError(
            f"repository {github.repository}",
            expected="a repository that you administer",
            found="nothing, or a repository that you may not see",
            next_step="run gh auth login, or correct --repository",
        )
    return str(about["default_branch"])


def _github(name: str) -> GitHub:
    """The repository, with the token that gh has if the environment has none."""
    environment = dict(os.environ)
    if name:
        environment["GITHUB_REPOSITORY"] = name
    found = GitHub.from_environment(environment)
    if found.token:
        return found
    done = call(["gh", "auth", "token"], seconds=30)
    if done.code or not done.out.strip():
        raise OutsideError(
            "token for GitHub",
            expected="a login of gh, or GITHUB_TOKEN",
            found=done.complaint,
            next_step="run gh auth login, or set GITHUB_TOKEN",
        )
    return GitHub(found.repository, done.out.strip(), found.api)


def _people(github: GitHub, logins: Sequence[str]) -> dict[str, int]:
    if not 1 <= len(logins) <= 6:
        raise UsageError(
            "reviewers of production",
            expected="one to six logins",
            found=str(len(logins)),
            next_step="give --reviewer LOGIN once for each of them",
        )
    found = {}
    for login in logins:
        person = github.find(f"/users/{login}")
        if person is None:
            raise UsageError(
                f"reviewer {login!r}",
                expected="a login on GitHub",
                found="no such user",
                next_step="correct this --reviewer",
            )
        found[str(person["login"])] = int(person["id"])
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise UsageError(
            f"--variable {text!r}",
            expected="NAME=VALUE",
            next_step="give a name and a value with = between them",
        )
    return name, value


def _state(github: GitHub, variables: Iterable[str]) -> CurrentState:
    present = {name: github.environment(name) for name in ENVIRONMENTS}
    environments = {name: found for name, found in present.items() if found is not None}

    def there(place: str, names: Iterable[str]) -> list[str]:
        return [name for name in names if github.find(f"{place}/{name}") is not None]

    found = {name: github.find(f"actions/variables/{name}") for name in variables}
    return CurrentState(
        environments=environments,
        branches={name: github.branch_policies(name) for name in environments},
        variables={name: str(each["value"]) for name, each in found.items() if each},
        secrets=there("actions/secrets", SECRETS),
        environment_secrets={
            name: there(f"environments/{name}/secrets", ("KUBECONFIG",)) for name in environments
        },
        environment_variables={
            name: there(f"environments/{name}/variables", SETTINGS) for name in environments
        },
    )
