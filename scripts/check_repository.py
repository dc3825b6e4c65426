"""Before anything else: is this repository set up for a release, is production protected?"""

import argparse
import os
from collections.abc import Sequence

from model_release import cli
from model_release.errors import UsageError
from model_release.report import Report, Table
from model_release.workspace import Workspace

STAGES = ("production", "staging")
MODES = ("required", "optional")


def check(arguments: argparse.Namespace, _: Workspace) -> Report:
    """Refuse a release into an environment that anybody could release into alone."""
    from model_release.registry import check_name, check_version

    _among("--up-to", arguments.up_to, STAGES)
    _among("--protection", arguments.protection, MODES)
    check_name(arguments.model_name)
    if arguments.model_version:
        check_version(arguments.model_version)
    if not arguments.tracking_uri.startswith(("http://", "https://")):
        raise UsageError(
            "variable MLFLOW_TRACKING_URI of this repository",
            expected="the address of an MLflow server",
            found=arguments.tracking_uri or "nothing",
            next_step="python scripts/setup_github.py --apply, or set it under Settings → "
            "Secrets and variables → Actions",
        )
    if arguments.up_to == "staging":
        return Report("protection of production", "passed", lines=["goes up to staging: not asked"])
    return _protection(arguments.protection)


def _protection(mode: str) -> Report:
    from model_release.github import GitHub
    from model_release.github.protection import rules

    github = GitHub.from_environment(os.environ)
    environment = github.environment("production")
    branches = github.branch_policies("production") if environment else []
    found = rules("production", environment, branches)
    broken = [rule for rule in found if not rule.holds]
    rows = [(r.name, "passed" if r.holds else "failed", r.required, r.found) for r in found]
    lines = []
    if broken:
        word = "warning" if mode == "optional" else "refused"
        lines = [
            f"{word}: environment production: {'; '.join(f'{r.name}: {r.found}' for r in broken)}",
            "next: python scripts/setup_github.py --apply; where this repository's plan cannot do "
            "it, the variable PRODUCTION_PROTECTION=optional turns this into a warning",
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


def _among(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{option} {value!r}", expected=" or ".join(known), next_step="correct it")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when a release may begin."""
    options = cli.parser(
        "Check names, the registry's address and the protection of production on GitHub.",
        "python scripts/check_repository.py --model-name iris-classifier --model-version 1",
    )
    cli.add_env(options, "--up-to", "UP_TO", "how far the release goes", "production")
    cli.add_protection(options)
    return cli.run(options, argv, check)


if __name__ == "__main__":
    raise SystemExit(main())
