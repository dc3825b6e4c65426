"""The ledger as a table of every move, or the version that had an alias at one moment."""

from datetime import datetime
from typing import Any

from model_release import releases
from model_release.errors import UsageError
from model_release.identity import short_id
from model_release.releases import history
from model_release.releases.history import Entry
from model_release.releases.ledger import Ledger, models_with_ledger, read_ledger
from model_release.report import Report, Table
from model_release.workspace import Workspace

COLUMNS = ("#", "how", "version", "since", "until", "release", "approved by", "by", "why, why not")


def release_history(workspace: Workspace, model: str, alias: str, moment: str = "") -> Report:
    """Every move of an alias, done or called off; at a moment, who had it then.

    Raises:
        UsageError: no such model in the ledger, or no such moment.
    """
    ledger = read_ledger(workspace.registry, model)
    if not ledger.run_id:
        known = ", ".join(models_with_ledger(workspace.registry))
        raise UsageError(
            f"ledger of {model}",
            expected="a ledger, which the first release begins",
            found=f"ledgers of: {known or 'nothing'}",
            next_step="correct --model-name or MLFLOW_TRACKING_URI",
        )
    if moment:
        return _at(ledger, alias, read_moment(moment))
    rows = [row(ledger, entry) for entry in history.of_alias(ledger.entries, alias)]
    shown = [[_shown(str(value)) for value in each.values()] for each in rows]
    current = ledger.current(alias)
    return Report(
        title=f"{alias} of {model}",
        outcome=f"version {current.after}" if current else "none",
        tables=[Table("Ledger", COLUMNS, shown)],
        data={"model": model, "alias": alias, "entries": rows},
    )


def row(ledger: Ledger, entry: Entry) -> dict[str, Any]:
    """One move, with the end of the reign it began and who approved its release."""
    ends = {
        each.began_by.number: each.until for each in history.reigns(ledger.entries, entry.alias)
    }
    approved = ""
    if entry.release:
        approved = releases.load(ledger.registry, entry.release).approved.by
    return {
        "number": entry.number,
        "how": entry.kind
        + ("" if entry.done else ", called off" if entry.close else ", under way"),
        "version": entry.after,
        "since": history.closed_at(entry) if entry.done else "",
        "until": ends.get(entry.number, ""),
        "release": entry.release,
        "approved_by": approved,
        "by": entry.by,
        "why": entry.reason or (entry.close.note if entry.close else f"decided {entry.at}"),
    }


def read_moment(text: str) -> datetime:
    """A moment with its time zone, or UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(
            f"moment {text!r}",
            expected="ISO 8601 with a time zone, such as 2026-11-24T21:00:00+00:00",
            next_step="give --at with a time zone; without one a time can mean two moments",
        )
    return moment


def _at(ledger: Ledger, alias: str, moment: datetime) -> Report:
    found = history.at_moment(ledger.entries, moment, alias)
    reign, moving = found.reign, found.moving
    facts = {
        "model": ledger.model,
        "alias": alias,
        "at": moment.isoformat(),
        "version": reign.version if reign else None,
        "release": reign.began_by.release if reign else None,
        "since": reign.since if reign else None,
        "until": reign.until or None if reign else None,
        "how": reign.began_by.kind if reign else None,
        "reason": reign.began_by.reason or None if reign else None,
        "moving_to": moving.after if moving else None,
    }
    rows = [(key, str(value)) for key, value in facts.items() if value is not None]
    return Report(
        title=f"{alias} of {ledger.model} at {moment.isoformat()}",
        outcome=f"version {reign.version}" if reign else "none",
        tables=[Table("Then", ("what", "value"), rows)],
        data=facts,
    )


def _shown(text: str) -> str:
    """A time without its fraction and an id's beginning, to fit a table; the rest as it is."""
    if len(text) == 32 and text.isalnum():
        return short_id(text)
    return f"{text[:10]} {text[11:19]}Z" if text.endswith("+00:00") else text
