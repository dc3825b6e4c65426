"""Station promote, the last one: the alias champion moves, if nobody moved it meanwhile."""

from model_release import commands
from model_release.errors import RefusedError
from model_release.identity import short_id
from model_release.releases import Release, history, load
from model_release.releases.history import CHAMPION
from model_release.releases.ledger import Ledger, overtaken, read_ledger
from model_release.releases.moves import check_claims, fence, finish, repeat, settle
from model_release.targets import Target


def promote_model(release: Release, target: Target) -> Release:
    """Make the version that production serves the champion. Again is a no-op.

    The ledger is read first: whatever is decided after that makes this promotion lose.

    Raises:
        UsageError: the release was not deployed to production.
        RefusedError: production serves something else, another champion came meanwhile, or
            somebody else's promotion won.
        OutsideError: the alias does not read back as written.
    """
    release.require_before("promote", target.name)
    ledger = read_ledger(release.registry, release.model, target.name)
    check_production(release, target)
    aliases = check_claims(release.registry, release.model)
    ledger, aliases = _settled(ledger, release, aliases)
    current = ledger.current()
    found = aliases.get(CHAMPION, "")
    fence(ledger, CHAMPION, found)
    if current and current.release == release.id:
        repeat(ledger, current)
        return load(release.registry, release.id)
    _check_first_reign(ledger, release, target)
    compared = release.champion
    if found != compared and (current or found != release.version):
        raise RefusedError(
            f"champion of {release.model}",
            expected=f"version {compared or 'none'}, which {release.version} was compared with",
            found=f"version {found or 'none'}",
            next_step="release the version again, which compares it with the new champion: "
            f"{commands.release(release.model, release.version, target=target.name)}",
        )
    ledger, entry = ledger.decide(
        "promotion", CHAMPION, before=found, after=release.version, release=release.id
    )
    finish(ledger, entry, fresh=True)
    return load(release.registry, release.id)


def check_production(release: Release, target: Target) -> None:
    """Raise RefusedError unless production serves this release."""
    run = target.find("production", release.model)
    if run and not run.replicas:
        run = None
    if run is None or run.identity != release.identity:
        raise RefusedError(
            f"production of {release.model}",
            expected=f"{release.identity}, serving",
            found=release.identity.differences(run.identity) if run else "nothing",
            next_step="run "
            + commands.station(
                "deploy-production", release.model, release.version, target=target.name
            ),
        )


def _settled(
    ledger: Ledger, release: Release, aliases: dict[str, str]
) -> tuple[Ledger, dict[str, str]]:
    """The ledger without a move under way: one that leaves this promotion a chance is finished."""
    entry = ledger.under_way
    if entry is None:
        return ledger, aliases
    hopeless = release.champion != entry.after and entry.release != release.id
    if entry.alias == CHAMPION and entry.kind == "promotion" and hopeless:
        raise overtaken(entry, release.model)
    return settle(ledger), release.registry.aliases(release.model)


def _check_first_reign(ledger: Ledger, release: Release, target: Target) -> None:
    """Refuse a release that was champion and is not: it lost that for a reason."""
    if history.last_of_release(ledger.entries, release.id):
        told, until = release.rollback_reason, release.champion_until
        ended = f"until {until}" if until else "before; when that ended is not recorded"
        raise RefusedError(
            f"release {short_id(release.id)} of {release.model} {release.version}",
            expected="a release that was never champion",
            found=f"champion {ended}" + (f", rolled back: {told}" if told else ""),
            next_step="validate the version again, which begins a new release; or roll back to it: "
            f"{commands.rollback(release.model, release=release.id, target=target.name)}",
        )
