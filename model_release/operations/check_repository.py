"""The check that a repository on GitHub is set up for a release and its production protected."""

import os
from collections.abc import Sequence

from model_release import commands
from model_release.errors import UsageError
from model_release.github import GitHub
from model_release.github.protection import Rule, rules
from model_release.github.repository import check_address
from model_release.registry import check_name, check_version
from model_release.report import Report, Table

STAGES = ("production", "staging")
MODES = ("required", "optional")


def check_repository(
    model: str, version: str, tracking_uri: str, *, up_to: str, protection: str
) -> Report:
    """Refuse a release into an environment that anybody could release into alone.

    Args:
        model: registered name.
        version: number of the version; "" for the newest.
        tracking_uri: address of the registry.
        up_to: one of STAGES.
        protection: one of MODES: whether an unprotected production refuses or warns.

    Raises:
        UsageError: a value is invalid.
        OutsideError: GitHub did not answer.
    """
    _check_among("--up-to", up_to, STAGES)
    _check_among("--protection", protection, MODES)
    check_name(model)
    if version:
        check_version(version)
    where = "set it under Settings → Secrets and variables → Actions"
    check_address(tracking_uri, f"{where}, or run {commands.setup_github()}")
    if up_to == "staging":
        return Report(
            "protection of production", "passed", lines=["the release ends in staging: not checked"]
        )
    github = GitHub.from_environment(os.environ)
    environment = github.environment("production")
    branches = github.branch_policies("production") if environment else []
    return _report(rules("production", environment, branches), protection)


def _report(found: Sequence[Rule], mode: str) -> Report:
    broken = [rule for rule in found if not rule.holds]
    rows = [(r.name, "passed" if r.holds else "failed", r.required, r.found) for r in found]
    lines = []
    if broken:
        word = "warning" if mode == "optional" else "refused"
        lines = [
            f"{word}: environment production: {'; '.join(f'{r.name}: {r.found}' for r in broken)}",
            f"next: run {commands.setup_github()}; if the plan of this repository cannot "
            "do it, the variable PRODUCTION_PROTECTION=optional turns this into a warning",
        ]
    refused = bool(broken) and mode == "required"
    return Report(
        title="protection of production",
        outcome="refused" if refused else "passed, with a warning" if broken else "passed",
        tables=[Table("Environment production", ("rule", "outcome", "required", "found"), rows)],
        lines=lines,
        data={"rules": [vars(rule) for rule in found], "mode": mode},
        exit_code=1 if refused else 0,
    )


def _check_among(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(
            f"{option} {value!r}",
            expected=" or ".join(known),
            next_step=f"give {option} one of these values",
        )
