"""The ledger of a model: every move of its aliases, in order, each decided by one write.

MLflow has no compare-and-set, but a run's parameter can be set once and never changed, and its
database decides between several that try. So the ledger is one run a model, in the experiment
`releases`: parameter `entry.000007` is the seventh move, `close.000007` how it ended. Whoever sets
`entry.000007` has decided; whoever comes second is told by whom. `docs/adr/0004` has the protocol.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from model_release import commands
from model_release.errors import OutsideError, RefusedError
from model_release.registry import Registry
from model_release.registry.runs import RunRecord
from model_release.releases import history
from model_release.releases.actor import actor
from model_release.releases.history import Close, Entry, Kind, Outcome

FORMAT = 1
PLACE = "releases"
EXPERIMENTS = "releases/"
POINTER = "ledger.run"
KEY = re.compile(r"(entry|close)\.(\d{6})")
NEWER = "use the version of this software that wrote it, or a newer version"


@dataclass(frozen=True)
class Ledger:
    """A ledger as it was when it was read. Empty where the model has none yet.

    `target` is the name of the target, for the commands that are suggested about it.
    """

    registry: Registry
    model: str
    run_id: str
    entries: tuple[Entry, ...]
    target: str = commands.WHICH_TARGET

    def current(self, alias: str = history.CHAMPION) -> Entry | None:
        """The move that gave an alias to the version that has it."""
        return history.current(self.entries, alias)

    @property
    def under_way(self) -> Entry | None:
        """The move that is decided and not closed."""
        return history.under_way(self.entries)

    def again(self) -> "Ledger":
        """The ledger as it is now."""
        return read_ledger(self.registry, self.model, self.target)

    def decide(
        self,
        kind: Kind,
        alias: str,
        *,
        before: str,
        after: str,
        release: str = "",
        reason: str = "",
    ) -> tuple["Ledger", Entry]:
        """Write the next entry; nobody else can have written one since this ledger was read.

        Raises:
            RefusedError: somebody else did; says who and what.
        """
        ledger = (
            self if self.run_id else replace(self, run_id=begin_ledger(self.registry, self.model))
        )
        entry = Entry(
            number=len(self.entries) + 1,
            id=uuid.uuid4().hex,
            alias=alias,
            kind=kind,
            before=before,
            after=after,
            release=release,
            at=history.stamp(datetime.now(UTC), self._latest()),
            by=actor(),
            reason=reason,
        )
        value = asdict(entry)
        del value["number"], value["close"]
        if not self.registry.write_once(ledger.run_id, _key("entry", entry), _text(value)):
            raise overtaken(self.again().entries[entry.number - 1], self.model)
        return replace(ledger, entries=(*self.entries, entry)), entry

    def close(self, entry: Entry, outcome: Outcome, note: str = "") -> "Ledger":
        """Close an entry, unless somebody has; return the ledger as it is then."""
        at = history.stamp(datetime.now(UTC), entry.at)
        value = _text(asdict(Close(outcome, at, note)))
        self.registry.write_once(self.run_id, _key("close", entry), value)
        return self.again()

    def entry(self, number: int) -> Entry:
        """The entry of a number."""
        return self.entries[number - 1]

    def _latest(self) -> str:
        last = self.entries[-1] if self.entries else None
        return "" if last is None else last.close.at if last.close else last.at


def overtaken(winner: Entry, model: str) -> RefusedError:
    """The refusal of a move that came second."""
    return RefusedError(
        f"{winner.alias} of {model}",
        expected=f"version {winner.before or 'none'}, as before this move",
        found=f"a {winner.kind} to version {winner.after} by {winner.by}, decided {winner.at}",
        next_step=f"somebody else was faster: run {commands.history(model)} to see it, "
        "then release again",
    )


def read_ledger(registry: Registry, model: str, target: str = commands.WHICH_TARGET) -> Ledger:
    """The ledger of a model, empty where it has none.

    Raises:
        OutsideError: it was written by a newer version of this software, is damaged, or is none of
            the pipeline's.
    """
    tags = registry.experiment_tags(EXPERIMENTS + model)
    run_id = (tags or {}).get(POINTER, "")
    if not run_id:
        return Ledger(registry, model, "", (), target)
    run = _own(registry, model, run_id)
    told = run.tags.get("ledger.format", "")
    if not told.isdecimal() or int(told) > FORMAT:
        raise OutsideError(
            f"ledger of {model} (run {run_id})",
            expected=f"format {FORMAT} or older",
            found=f"format {told or 'none'}",
            next_step=NEWER,
        )
    entries = _entries(run.parameters, f"ledger of {model} (run {run_id})")
    return Ledger(registry, model, run_id, entries, target)


def begin_ledger(registry: Registry, model: str) -> str:
    """Id of the run that is the model's ledger, made if there is none.

    Which of several is decided by the experiment's name, which is unique: it is made together
    with a tag that names the run.

    Raises:
        OutsideError: the experiment was made by something else, or names another ledger.
    """
    name = EXPERIMENTS + model
    tags = registry.experiment_tags(name)
    if tags is None:
        text = f"Every move of the aliases of {model}. Parameters are written once; see docs/adr."
        made = registry.create_run(
            PLACE,
            model,
            {"ledger.model": model, "ledger.format": str(FORMAT), "mlflow.note.content": text},
        )
        registry.create_experiment(name, {POINTER: made})
        tags = registry.experiment_tags(name) or {}
        if tags.get(POINTER) != made:
            registry.delete_run(made)
    if not tags.get(POINTER):
        raise OutsideError(
            f"experiment {name}",
            expected=f"the tag {POINTER}, with which this software creates it",
            found="no such tag: something else created this experiment",
            next_step="rename it (mlflow experiments rename), then run the same command again",
        )
    _own(registry, model, tags[POINTER])
    return tags[POINTER]


def _own(registry: Registry, model: str, run_id: str) -> RunRecord:
    """A ledger's run, if it lies where the pipeline alone may write: anybody can point elsewhere.

    Raises:
        OutsideError: it does not, or is another model's.
    """
    run = registry.run_record(run_id)
    of = run.tags.get("ledger.model", "")
    if (run.experiment, of) != (PLACE, model):
        raise OutsideError(
            f"ledger of {model} (run {run_id})",
            expected=f"a run in the experiment {PLACE}, of {model}",
            found=f"a run in the experiment {run.experiment}, of {of or 'no model'}",
            next_step=f"somebody else made {EXPERIMENTS}{model} or set its tag {POINTER}: find out "
            f"who may write there, and set it back to the run {model} in {PLACE}",
        )
    return run


def models_with_ledger(registry: Registry) -> list[str]:
    """Every model that has releases."""
    return [name.removeprefix(EXPERIMENTS) for name in registry.experiments(EXPERIMENTS)]


def _entries(parameters: Mapping[str, str], what: str) -> tuple[Entry, ...]:
    found: dict[str, dict[int, Any]] = {"entry": {}, "close": {}}
    try:
        for key, text in parameters.items():
            if match := KEY.fullmatch(key):
                found[match[1]][int(match[2])] = json.loads(text)
        closes = {number: Close(**value) for number, value in found["close"].items()}
        entries = tuple(
            Entry(number=number, **value, close=closes.pop(number, None))
            for number, value in sorted(found["entry"].items())
        )
    except (ValueError, TypeError) as error:
        raise _damaged(what, str(error)) from error
    numbers = [entry.number for entry in entries]
    if numbers != list(range(1, len(entries) + 1)) or closes:
        raise _damaged(what, f"numbers {numbers[:20]}, closes without entries {list(closes)}")
    if not all(entry.close for entry in entries[:-1]):
        raise _damaged(what, "an entry after an open one")
    return entries


def _damaged(what: str, found: str) -> OutsideError:
    return OutsideError(
        what,
        expected="entries in order, of which only the last may be open",
        found=found,
        next_step="restore MLflow's database from its backup",
    )


def _key(word: str, entry: Entry) -> str:
    return f"{word}.{entry.number:06d}"


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
