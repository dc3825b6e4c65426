"""One move of an alias, carried out: checked, read back, and repeated on the releases it concerns.

The decision is the ledger's entry. All that follows may be done again by anybody, so whoever comes
after a crash finishes what was decided; `close` is written when the alias was seen to be moved.
"""

from collections.abc import Mapping
from itertools import pairwise

from model_release import commands, releases
from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.identity import short_id
from model_release.registry import Registry
from model_release.releases import Release, history, names
from model_release.releases.history import CHAMPION, PREVIOUS, Entry
from model_release.releases.ledger import Ledger


def check_claims(registry: Registry, model: str) -> dict[str, str]:
    """The aliases of a model, if no other alias claims to be its champion.

    Raises:
        RefusedError: two champions: aliases are case-sensitive, and people are not.
    """
    aliases = registry.aliases(model)
    for alias, version in aliases.items():
        if owned := history.misspelt(alias):
            raise RefusedError(
                f"alias {alias} of {model}, version {version}",
                expected=f"only the alias {owned}, in this spelling",
                found=f"{owned} at version {aliases.get(owned, 'none')} and this one",
                next_step=f"delete the alias {alias} in the registry",
            )
    return aliases


def fence(ledger: Ledger, alias: str, found: str) -> None:
    """Check that an alias points to what the ledger says.

    Raises:
        RefusedError: somebody moved it by hand.
    """
    current = ledger.current(alias)
    if current and current.after != found:
        raise RefusedError(
            f"{alias} of {ledger.model}",
            expected=f"version {current.after}, as the ledger has it since {current.at}",
            found=f"version {found or 'none'}: somebody moved the alias by hand, or deleted it",
            next_step=f"run {commands.audit(ledger.model, target=ledger.target)}, "
            "which names the command that mends it",
        )


def finish(
    ledger: Ledger, entry: Entry, *, fresh: bool = False, force: bool = False
) -> tuple[Ledger, Entry]:
    """Carry out a decided move and close it; what was done of it already is not done again.

    Args:
        ledger: of the model.
        entry: open, or closed meanwhile by somebody who finished it for us.
        fresh: decided just now by this process: a foreign write since then calls it off.
        force: whatever the alias points to, it is moved.

    Raises:
        RefusedError: the alias was moved by somebody else.
        OutsideError: it does not read back as written.
    """
    ledger = ledger.again()
    entry = ledger.entry(entry.number)
    if entry.close is None:
        _write(ledger, entry, fresh=fresh, force=force)
        ledger = ledger.close(entry, "done")
        _catch_up(ledger, entry)
    closed = ledger.entry(entry.number)
    if not closed.done:
        raise RefusedError(
            f"{entry.kind} of {ledger.model} to version {entry.after}",
            expected="a move that is done",
            found=f"called off: {closed.close.note if closed.close else ''}",
            next_step=f"run {commands.history(ledger.model)} to see why, then start again",
        )
    current = ledger.current(entry.alias)
    if current and current.number == closed.number:  # else whoever moved it on has done that
        repeat(ledger, closed)
    return ledger, closed


def _write(ledger: Ledger, entry: Entry, *, fresh: bool, force: bool) -> None:
    registry, model = ledger.registry, ledger.model
    found = registry.alias(model, entry.alias) or ""
    if found not in (entry.before, entry.after) and not force:
        if fresh:
            ledger.close(entry, "abandoned", f"{entry.alias} was moved to {found or 'none'}")
        raise RefusedError(
            f"{entry.alias} of {model}",
            expected=f"version {entry.before or 'none'}, as when the move was decided",
            found=f"version {found or 'none'}: somebody else moved it",
            next_step=f"run {commands.audit(model, target=ledger.target)}, "
            "which names the command that mends it",
        )
    if found != entry.after:
        registry.set_alias(model, entry.alias, entry.after)
        if (read := registry.alias(model, entry.alias)) != entry.after:
            raise OutsideError(
                f"{entry.alias} of {model}",
                expected=f"version {entry.after}, as just written",
                found=f"version {read or 'none'}",
                next_step="something else writes this alias: stop it, then run "
                f"{commands.audit(model, fix=True, target=ledger.target)}",
            )
    if history.remembers(entry):
        _remember(registry, model, entry.before)


def _remember(registry: Registry, model: str, version: str) -> None:
    try:
        registry.set_alias(model, PREVIOUS, version)
    except UsageError:  # deleted meanwhile: there is nothing left to point to
        return


def _catch_up(ledger: Ledger, entry: Entry) -> None:
    """Undo a write that came late: others finished this move and made the next one meanwhile."""
    current = ledger.current(entry.alias)
    if current and current.number > entry.number:
        ledger.registry.set_alias(ledger.model, entry.alias, current.after)


def settle(ledger: Ledger) -> Ledger:
    """Finish a move that another process left half-done; a rollback, which deploys, only by name.

    Raises:
        RefusedError: a rollback is under way.
    """
    entry = ledger.under_way
    if entry is None:
        return ledger
    if entry.kind == "rollback":
        raise RefusedError(
            f"rollback of {ledger.model} to version {entry.after}",
            expected="no rollback under way",
            found=f"under way since {entry.at}, by {entry.by}",
            next_step="wait until it ends; if its process was killed, go on with it: "
            f"{commands.resume(ledger.model, entry.release, ledger.target)}",
        )
    return finish(ledger, entry)[0]


def mend(ledger: Ledger, alias: str, version: str, release: str) -> Ledger:
    """Set an alias that was moved by hand back to what the ledger says, and say so there."""
    found = ledger.registry.alias(ledger.model, alias) or ""
    ledger, entry = ledger.decide(
        "mend",
        alias,
        before=found,
        after=version,
        release=release,
        reason=f"the alias was moved by hand to {found or 'none'}",
    )
    return finish(ledger, entry, force=True)[0]


def repeat(ledger: Ledger, entry: Entry) -> None:
    """Repeat a closed move of the champion on the releases it concerns, for MLflow's own pages."""
    for release, wanted in _repeated(ledger, entry):
        if release.id == entry.release and not _is_released(release):
            release.record("promote", "passed", tags=wanted, state="released")
        elif _lacks(release, wanted):
            release.note(wanted)


def behind(ledger: Ledger, entry: Entry) -> list[str]:
    """Releases whose tags do not repeat a closed move, in words."""
    return [
        f"release {short_id(release.id)} of version {release.version} lacks "
        + ", ".join(key for key, value in wanted.items() if release.tags.get(key) != value)
        for release, wanted in _repeated(ledger, entry)
        if _lacks(release, wanted) or (release.id == entry.release and not _is_released(release))
    ]


def _is_released(release: Release) -> bool:
    return release.passed("promote") and release.state == "released"


def _lacks(release: Release, wanted: Mapping[str, str]) -> bool:
    return any(release.tags.get(key) != value for key, value in wanted.items())


def _repeated(ledger: Ledger, entry: Entry) -> list[tuple[Release, dict[str, str]]]:
    """The releases that a closed move concerns, and the tags they should have.

    Its own, the one whose reign it ended, and the one before that: whoever ended it may have died.
    """
    if entry.alias != CHAMPION or not entry.close:
        return []
    moves = [
        each for each in history.of_alias(ledger.entries[: entry.number], CHAMPION) if each.done
    ]
    wanted = {ended.release: _end(by) for ended, by in pairwise(moves[-3:])}
    wanted[entry.release] = {names.CHAMPION_SINCE: entry.close.at, names.CHAMPION_UNTIL: ""}
    return [
        (releases.load(ledger.registry, release), tags)
        for release, tags in wanted.items()
        if release
    ]


def _end(entry: Entry) -> dict[str, str]:
    ended = {names.CHAMPION_UNTIL: history.closed_at(entry), names.SUCCEEDED_BY: entry.release}
    if entry.kind == "rollback":
        ended |= {
            names.ROLLED_BACK_AT: history.closed_at(entry),
            names.ROLLED_BACK_BY: entry.by,
            names.ROLLED_BACK_REASON: entry.reason,
        }
    return ended
