"""The move of an alias other than champion, as safe as that of champion and in the ledger too."""

from model_release import commands
from model_release.errors import RefusedError, UsageError
from model_release.registry import check_alias
from model_release.releases.history import CHAMPION, PREVIOUS, Entry
from model_release.releases.ledger import read_ledger
from model_release.releases.moves import check_claims, fence, finish, settle
from model_release.workspace import Workspace


def _owned(model: str) -> dict[str, str]:
    """Aliases that say what serves where, and the commands that move them."""
    where = commands.WHICH_TARGET
    promote = commands.station("promote", model, target=where)
    either = f"{promote} or {commands.rollback(model, target=where)}"
    smoke = commands.station("smoke", model, target=where)
    return {CHAMPION: either, PREVIOUS: either, "staging": smoke}


def transition_alias(
    workspace: Workspace,
    model: str,
    alias: str,
    version: str,
    *,
    expected: str | None = None,
    reason: str = "",
) -> Entry:
    """Point an alias of a model to a version; nothing if it does already.

    Args:
        workspace: says which registry.
        model: name of the registered model.
        alias: not one that this software or MLflow keeps for itself.
        version: number of the version.
        expected: the version that the alias must point to now, "" for none; None for whatever.
        reason: for the ledger.

    Raises:
        UsageError: an alias that is not to be moved so, or no such version.
        RefusedError: the alias points to something else than expected, or moved meanwhile.
    """
    check_alias(alias)
    if by := _owned(model).get(alias.lower()):
        raise UsageError(
            f"alias {alias!r}",
            expected="an alias that no command of a release moves",
            next_step=f"run {by}",
        )
    registry = workspace.registry
    number = registry.version(model, version).version
    ledger = settle(read_ledger(registry, model))
    found = check_claims(registry, model).get(alias, "")
    current = ledger.current(alias)
    if expected is not None and found != expected:
        raise RefusedError(
            f"{alias} of {model}",
            expected=f"version {expected or 'none'}, as --expected says",
            found=f"version {found or 'none'}",
            next_step=f"if that is right, give --expected {found or 'none'}",
        )
    if expected is None:
        fence(ledger, alias, found)
    if current and current.after == found == number:
        return current
    ledger, entry = ledger.decide("transition", alias, before=found, after=number, reason=reason)
    return finish(ledger, entry, fresh=True)[1]
