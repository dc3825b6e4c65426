"""Set a repository on GitHub up for releases: shows what would change, --apply changes it."""

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from model_release import cli
from model_release.errors import OutsideError, UsageError
from model_release.report import Report, Table
from model_release.workspace import Workspace

if TYPE_CHECKING:
    from model_release.github import GitHub
    from model_release.github.repository import CurrentState

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = ".github/workflows/model-deploy.yaml"


def setup(arguments: argparse.Namespace, _: Workspace) -> Report:
    """Compare what is with what should be; change it where that was asked for."""
    from model_release.github import repository

    github = _github(arguments.repository)
    about = github.find("")
    if about is None:
        raise UsageError(
            f"repository {github.repository}",
            expected="one that you administer",
            found="none, or one that you may not see",
            next_step="gh auth login, or correct --repository",
        )
    branch = arguments.branch or str(about["default_branch"])
    wanted = repository.DesiredState(branch, _people(github, arguments.reviewer), {
        "MLFLOW_TRACKING_URI": arguments.tracking_uri,
        "COSIGN_ISSUER": ISSUER,
        "COSIGN_IDENTITY": f"https://github.com/{github.repository}/{WORKFLOW}@refs/heads/{branch}",
        **dict(_pair(text) for text in arguments.variable),
    })  # fmt: skip
    state = _state(github, wanted.variables)
    changes = repository.changes(state, wanted)
    if arguments.apply:
        for change in changes:
            github.change(change.method, change.path, change.content)
    rows = [(change.what, change.now, change.then) for change in changes]
    missing = repository.missing_secrets(state)
    lines = [f"missing: {text}" for text in missing]
    if changes and not arguments.apply:
        lines.append("nothing was changed: run it again with --apply")
    return Report(
        title=f"repository {github.repository}",
        outcome=("changed" if arguments.apply else "to be changed") if changes else "passed",
        tables=[Table("Changes", ("what", "now", "then"), rows)] if rows else [],
        lines=lines,
        data={"changes": [vars(change) for change in changes], "missing": list(missing)},
    )


def _github(repository: str) -> "GitHub":
    """The repository, with the token that gh has if the environment has none."""
    from model_release.github import GitHub
    from model_release.processes.tools import call

    environment = dict(os.environ)
    if repository:
        environment["GITHUB_REPOSITORY"] = repository
    found = GitHub.from_environment(environment)
    if found.token:
        return found
    done = call(["gh", "auth", "token"], seconds=30)
    if done.code or not done.out.strip():
        raise OutsideError(
            "token for GitHub",
            expected="gh to be logged in, or GITHUB_TOKEN",
            found=done.complaint,
            next_step="gh auth login",
        )
    return GitHub(found.repository, done.out.strip(), found.api)


def _people(github: "GitHub", logins: Sequence[str]) -> dict[str, int]:
    if not 1 <= len(logins) <= 6:
        raise UsageError(
            "reviewers of production",
            expected="one to six logins",
            found=str(len(logins)),
            next_step="--reviewer LOGIN, once for each",
        )
    found = {}
    for login in logins:
        person = github.find(f"/users/{login}")
        if person is None:
            raise UsageError(f"reviewer {login!r}", expected="a login on GitHub", found="nobody")
        found[str(person["login"])] = int(person["id"])
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise UsageError(f"--variable {text!r}", expected="NAME=VALUE")
    return name, value


def _state(github: "GitHub", variables: Iterable[str]) -> "CurrentState":
    from model_release.github.repository import ENVIRONMENTS, SECRETS, SETTINGS, CurrentState

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


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the repository is as it should be, or what would change was shown."""
    options = cli.parser(
        "Create environments, reviewers, branch rules and variables; name the missing secrets.",
        "python scripts/setup_github.py --repository owner/name --reviewer octocat "
        "--tracking-uri https://mlflow.example.com --apply",
        model=False,
    )
    cli.add_env(options, "--repository", "GITHUB_REPOSITORY", "owner/name")
    options.add_argument(
        "--reviewer", action="append", default=[], metavar="LOGIN", help="approves production"
    )
    options.add_argument(
        "--branch", default="", help="what may deploy; the default branch if empty"
    )
    options.add_argument(
        "--variable", action="append", default=[], metavar="NAME=VALUE", help="one more variable"
    )
    options.add_argument("--apply", action="store_true", help="change it")
    return cli.run(options, argv, setup)


if __name__ == "__main__":
    raise SystemExit(main())
