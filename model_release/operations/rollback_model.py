"""The rollback: a former champion serves and is champion again, from what was built for it."""

from dataclasses import dataclass, replace

from model_release import commands
from model_release.errors import RefusedError, ReleaseError, UsageError
from model_release.releases import Release, history, load
from model_release.releases.history import CHAMPION, Entry
from model_release.releases.ledger import Ledger, read_ledger
from model_release.releases.moves import behind, check_claims, finish, settle
from model_release.stations.deploy_model import prepared
from model_release.stations.promote_model import check_production
from model_release.stations.smoke_test import probe
from model_release.targets import Deployment, Running, Target
from model_release.workspace import Workspace

LONGEST_REASON = 500
"""The reason is part of a parameter of an MLflow run, whose length is limited."""


@dataclass(frozen=True)
class RolledBack:
    """What serves and is champion now, and the ledger's entry that says why."""

    release: Release
    running: Running
    entry: Entry


def check_reason(reason: str) -> str:
    """Return a reason that says something, or raise UsageError."""
    words = " ".join(reason.split())
    left_open = words.startswith("<") and words.endswith(">")  # as in a suggested command
    says = any(c.isalpha() for c in words) and not left_open
    if not says or len(words) > LONGEST_REASON:
        raise UsageError(
            "reason",
            expected=f"words that the ledger can keep, {LONGEST_REASON} characters at most",
            found=words if left_open else f"{len(words)} characters" if words else "none",
            next_step="give --reason, such as --reason 'answers wrong since Monday'",
        )
    return words


def rollback_model(
    workspace: Workspace,
    model: str,
    target: Target,
    *,
    reason: str,
    version: str = "",
    release_id: str = "",
) -> RolledBack:
    """Go back to the champion before, or to a version or release that was champion once.

    The ledger first says that a rollback is under way; then it is deployed, as proven, and the
    alias follows. Killed in between, the same command goes on. Where the deploy fails, production
    is as before and the rollback is called off.

    Raises:
        UsageError: no reason, or nothing that was champion and could be gone back to.
        RefusedError: files are not what was released, or another rollback is under way.
        OutsideError: registry or target failed.
    """
    reason = check_reason(reason)
    registry = workspace.registry
    workspace.progress.station("roll back", model)
    aliases = check_claims(registry, model)
    ledger, entry = _under_way(read_ledger(registry, model, target.name), version, release_id)
    if entry:
        workspace.progress.step(f"going on with the rollback to {entry.after} of {entry.at}")
    release = load(registry, entry.release if entry else _goal(ledger, version, release_id))
    release.check()
    check_files(workspace, release)
    deployment = replace(prepared(workspace, release, target), proven=True)
    if entry is None:
        ledger, entry = ledger.decide(
            "rollback",
            CHAMPION,
            before=aliases.get(CHAMPION, ""),
            after=release.version,
            release=release.id,
            reason=reason,
        )
    running = _deploy(workspace, release, target, deployment, ledger, entry)
    check_production(release, target)
    _, entry = finish(ledger, entry, force=True)  # the way back wins over whoever moved the alias
    return RolledBack(load(registry, release.id), running, entry)


def check_files(workspace: Workspace, release: Release) -> None:
    """Refuse a version whose files in the registry are not those that were released.

    Raises:
        UsageError: the version was deleted.
        RefusedError: its files changed.
    """
    found = workspace.registry.version(release.model, release.version)
    workspace.progress.step(f"files of {release.model} {release.version}, digest checked")
    _, digest = workspace.fetch_model(found)
    if digest != release.digest:
        raise RefusedError(
            f"files of {release.model} {release.version}",
            expected=f"digest {release.digest}, as released",
            found=digest,
            next_step="restore these files in the artifact store, or choose another release from "
            f"{commands.history(release.model)}",
        )


def _under_way(ledger: Ledger, version: str, release_id: str) -> tuple[Ledger, Entry | None]:
    """The rollback to go on with, if one is not at its end; anything else that is gets finished."""
    entry = ledger.under_way
    if entry is None or entry.kind != "rollback":
        ledger = settle(ledger)
        entry = ledger.current()
        if entry is None or entry.kind != "rollback" or not behind(ledger, entry):
            return ledger, None
    if version not in ("", entry.after) or release_id not in ("", entry.release):
        settle(ledger)  # which refuses, and says what is under way
        return ledger, None
    return ledger, entry


def _goal(ledger: Ledger, version: str, release_id: str) -> str:
    """Id of the release to go back to."""
    if release_id:
        found = load(ledger.registry, release_id)
        if found.model != ledger.model:
            raise UsageError(
                f"release {release_id}",
                expected=f"a release of {ledger.model}",
                found=f"a release of {found.model} {found.version}",
                next_step=f"choose one from {commands.history(ledger.model)}",
            )
        goal = history.last_of_release(ledger.entries, release_id)
    elif version:
        goal = history.last_of_version(ledger.entries, version)
    else:
        goal = history.way_back(ledger.entries)
    if goal is None:
        known = dict.fromkeys(
            entry.after
            for entry in history.of_alias(ledger.entries, CHAMPION)
            if entry.done and entry.release
        )
        raise UsageError(
            f"rollback of {ledger.model} to {release_id or version or 'the champion before'}",
            expected="a release that was champion",
            found=f"champions so far: {', '.join(known) or 'none'}",
            next_step="give one of them with --model-version"
            if known
            else "release a version first: " + commands.release(ledger.model, target=ledger.target),
        )
    return goal.release


def _deploy(
    workspace: Workspace,
    release: Release,
    target: Target,
    deployment: Deployment,
    ledger: Ledger,
    entry: Entry,
) -> Running:
    """Deploy; where that fails, production is as before and the rollback is called off."""
    verify = probe(workspace, release)
    try:
        return target.deploy("production", deployment, workspace.progress.step, verify)
    except ReleaseError as error:
        ledger.close(entry, "abandoned", str(error)[:1000])
        raise
