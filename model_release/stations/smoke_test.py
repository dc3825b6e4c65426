"""Station smoke: the running server answers as the validated model did."""

import json
from collections.abc import Callable

from model_release.errors import RefusedError
from model_release.releases import Release, names
from model_release.smoke import Budget, Check, check_server
from model_release.workspace import Workspace

STAGING = "staging"


def probe(workspace: Workspace, release: Release) -> Callable[[str], list[Check]]:
    """The smoke suite of a release, ready to be run against any address of a server of it.

    The returned function gives every check's outcome; a failed one is a RefusedError that names it.
    """
    limits = workspace.config(release.model).gates
    golden, tolerances = release.golden, limits.golden.tolerances
    budget = None
    if not limits.latency.skip:
        budget = Budget(limits.latency.single_p50_ms, limits.latency.single_p99_ms)

    def run(url: str) -> list[Check]:
        checks = check_server(url, release.identity, golden, tolerances, budget)
        for check in checks:
            if not check.passed:
                raise RefusedError(
                    f"{url}: smoke test {check.name}",
                    expected=check.required,
                    found=check.found,
                    next_step="read the server's log; the release stops here",
                )
        return checks

    return run


def smoke_test(workspace: Workspace, release: Release, url: str) -> tuple[Release, list[Check]]:
    """Run the suite against staging; what passes becomes the model's `staging` alias.

    Raises:
        UsageError: the release was not deployed to staging.
        RefusedError: a check failed; the release records it.
    """
    release.require_before("smoke")
    workspace.progress.station("smoke", f"{release.model} {release.version} at {url}")
    try:
        checks = probe(workspace, release)(url)
    except RefusedError as error:
        if not release.passed("smoke"):
            release.record("smoke", "refused", evidence={"refusal.txt": str(error)})
        raise
    for check in checks:
        workspace.progress.outcome("passed", check.name, check.found)
    if not release.passed("smoke"):
        rows = json.dumps([vars(check) for check in checks], indent=2)
        release = release.record("smoke", "passed", evidence={names.CHECKS: rows})
    if workspace.registry.alias(release.model, STAGING) != release.version:
        workspace.registry.set_alias(release.model, STAGING, release.version)
    return release, checks
