"""Promote: the champion alias moves, last of all, and only if it is where it was."""

from model_release import release as releases
from model_release.errors import OutsideError, RefusedError
from model_release.release import Release, now
from model_release.targets import Target

CHAMPION = "champion"
PREVIOUS = "previous-champion"


def promote(release: Release, target: Target) -> Release:
    """Make the version that production serves the champion. Again is a no-op.

    Raises:
        UsageError: the release was not deployed to production.
        RefusedError: production serves something else, or another champion came meanwhile.
        OutsideError: the alias does not read back as written.
    """
    release.require("validate", "build", "deploy-staging", "smoke", "approve", "deploy-production")
    _check_production(release, target)
    registry, model, version = release.registry, release.model, release.version
    compared = release.tags["release.champion"]
    champion = registry.alias(model, CHAMPION)
    if champion == version and release.state == "released":
        return release
    if champion not in (version, compared or None):
        raise RefusedError(
            f"champion of {model}",
            expected=f"version {compared or 'none'}, which {version} was compared with",
            found=f"version {champion or 'none'}",
            next_step="release again: the gates then compare with the champion of now",
        )
    if champion != version:
        if champion:
            registry.set_alias(model, PREVIOUS, champion)
        registry.set_alias(model, CHAMPION, version)
    if (found := registry.alias(model, CHAMPION)) != version:
        raise OutsideError(
            f"champion of {model}",
            expected=f"version {version}, as just written",
            found=f"version {found or 'none'}",
            next_step="somebody else writes this alias: stop that, then release again",
        )
    at = now()
    if compared and compared != version:
        before = releases.newest(registry, model, compared, state="released")
        if before and "champion.until" not in before.tags:
            before.note({"champion.until": at, "champion.succeeded_by": release.id})
    return release.record("promote", "passed", tags={"champion.since": at}, state="released")


def _check_production(release: Release, target: Target) -> None:
    serving = [run for run in target.running("production") if run.replicas]
    found = next((run.digest for run in serving if run.model == release.model), "nothing")
    if found != release.digest:
        raise RefusedError(
            f"production of {release.model}",
            expected=f"{release.digest} serving",
            found=found,
            next_step="python scripts/deploy_model.py --environment production "
            f"--model-name {release.model} --model-version {release.version}",
        )
