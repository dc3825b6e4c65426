"""The checks of everything that a first release needs; they change nothing."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from model_release import commands
from model_release.errors import ReleaseError
from model_release.github import GitHub
from model_release.github.protection import rules
from model_release.image import signing
from model_release.image.docker import resolve
from model_release.processes.tools import call
from model_release.targets import Target
from model_release.workspace import Workspace

SECONDS = 60.0
"""Limit of one call of docker: an engine under load answers late."""


@dataclass(frozen=True)
class Finding:
    """One thing that was asked: whether it is there, what was found, what to do otherwise."""

    name: str
    outcome: Literal["passed", "failed", "skipped"]
    found: str
    next_step: str = ""


@dataclass(frozen=True)
class Setting:
    """What the questions are about.

    Args:
        workspace: the registry and the models' limits.
        model: name of the model that is to be released first.
        target: where it is to be released to.
        base_image: what images stand on; empty for the usual one.
        environment: variables, of which some say what is configured.
    """

    workspace: Workspace
    model: str
    target: Target
    base_image: str
    environment: Mapping[str, str]


def check_setup(setting: Setting) -> Iterator[Finding]:
    """Ask everything, in the order in which a release would need it."""
    yield _python()
    yield _finding("registry", lambda: _registry(setting))
    yield _finding("limits", lambda: _limits(setting))
    if setting.target.runs_images:
        yield _finding("docker", lambda: _docker(setting.base_image))
        yield _signing(setting.environment)
        for name in ("staging", "production"):
            question = partial(setting.target.check, name, setting.model)
            yield _finding(f"cluster, {name}", question)
    else:
        reason = f"releases go to this machine (--target {setting.target.name})"
        yield from (Finding(name, "skipped", reason) for name in ("docker", "signing", "cluster"))
    yield _github(setting.environment)


def _finding(name: str, question: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "passed", question())
    except ReleaseError as error:
        found = f"{error.what}: {error.found}" if error.found else error.what
        return Finding(name, "failed", found, error.next_step)


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] == (3, 11):
        return Finding("Python", "passed", found)
    return Finding(
        "Python", "failed", f"{found}, not 3.11", commands.make("dev", PYTHON="/path/to/python3.11")
    )


def _registry(setting: Setting) -> str:
    registry = setting.workspace.registry
    newest = registry.version(setting.model)
    return f"{registry.place}: newest version of {setting.model} is {newest.version}"


def _limits(setting: Setting) -> str:
    return str(setting.workspace.config(setting.model).source)


def _docker(base: str) -> str:
    if not shutil.which("docker"):
        raise ReleaseError("docker", next_step="install Docker Engine 23 or newer with buildx")
    done = call(["docker", "buildx", "inspect"], seconds=SECONDS)
    if done.code:
        raise ReleaseError(
            f"docker buildx: {done.complaint}",
            next_step="start Docker Engine; if it runs elsewhere, set DOCKER_HOST",
        )
    if base:
        resolve(base)
    return "buildx answers" + (f", base image {base}" if base else "")


def _signing(environment: Mapping[str, str]) -> Finding:
    try:
        found = signing.Signing.from_environment(environment)
    except ReleaseError as error:
        return Finding("signing", "failed", error.what, error.next_step)
    if not found.verifies:
        return Finding("signing", "skipped", "not configured: images are not signed")
    if not shutil.which("cosign"):
        return Finding("signing", "failed", "cosign is not on PATH", "install cosign")
    return Finding("signing", "passed", f"by {found.signer}")


def _github(environment: Mapping[str, str]) -> Finding:
    name = "production on GitHub"
    if not environment.get("GITHUB_REPOSITORY"):
        return Finding(name, "skipped", "GITHUB_REPOSITORY is not set")
    try:
        github = GitHub.from_environment(environment)
        found = github.environment("production")
        branches = github.branch_policies("production") if found else []
    except ReleaseError as error:
        return Finding(name, "failed", f"{error.what}: {error.found}", error.next_step)
    asked = rules("production", found, branches)
    broken = [rule for rule in asked if not rule.holds]
    told = "; ".join(f"{rule.name}: {rule.found}" for rule in broken or asked)
    if broken:
        return Finding(name, "failed", told, commands.setup_github())
    return Finding(name, "passed", told)
