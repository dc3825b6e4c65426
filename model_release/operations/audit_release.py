"""The audit of ledger, aliases, files, images and servers, which mends what is safe to mend."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from model_release import releases
from model_release.digest import model_digest
from model_release.errors import ReleaseError, UsageError
from model_release.identity import short_id
from model_release.image import docker
from model_release.operations.differences import Difference, Seen, Served, differences
from model_release.releases import Release, history, moves, names
from model_release.releases.history import CHAMPION, PREVIOUS, Entry
from model_release.releases.ledger import Ledger, read_ledger
from model_release.report import Report, Table
from model_release.stations.promote_model import promote_model
from model_release.targets import Deployment, Running, Target
from model_release.workspace import Workspace

MENDS = 2
"""Rounds of mending: an unfinished move hides differences that show once it is finished."""

COLUMNS = ("model", "difference", "expected", "found", "likely cause", "mend")


@dataclass(frozen=True)
class Audit:
    """What an audit works with.

    Args:
        workspace: the registry and the state folder.
        target: where production is.
        grace: seconds for which a move or a promotion may be under way without being a difference.
    """

    workspace: Workspace
    target: Target
    grace: float

    def report(self, names: Sequence[str], *, fix: bool) -> Report:
        """Audit models; with `fix`, mend what is safe and look again.

        Exit code 1 where a difference is left.
        """
        left: list[Difference] = []
        fixed: list[Difference] = []
        notes: list[str] = []
        for name in names:
            found, told = self.model(name)
            for _ in range(MENDS if fix else 0):
                if not any(each.fixable for each in found):
                    break
                notes += self.mend(name, found)
                before, (found, told) = found, self.model(name)
                fixed += [each for each in before if each not in found]
                if found == before:
                    break
            left += found
            notes += told
        return _report(names, left, fixed, notes)

    def model(self, name: str) -> tuple[list[Difference], list[str]]:
        """The differences of one model, and what is worth a line without being one."""
        self.workspace.progress.step(f"auditing {name}")
        ledger = read_ledger(self.workspace.registry, name, self.target.name)
        entry = ledger.under_way
        if entry and _age(entry.at) < self.grace:
            return [], [
                f"{name}: a {entry.kind} to version {entry.after} is under way; not audited"
            ]
        seen, notes = self._look(ledger)
        found = differences(seen)
        waiting = seen.served and seen.served.promotable and not entry
        if waiting and seen.served and self._young(seen.served.identity.release):
            found = [each for each in found if each.kind != "promotion-unfinished"]
            notes.append(f"{name}: version {seen.served.identity.version} waits for its promotion")
        return found, notes

    def mend(self, name: str, found: Sequence[Difference]) -> list[str]:
        """Do what is safe; say what could not be done."""
        registry = self.workspace.registry
        kinds = {each.kind for each in found if each.fixable}
        try:
            ledger = read_ledger(registry, name, self.target.name)
            if ledger.under_way and ledger.under_way.kind != "rollback":
                ledger, _ = moves.finish(ledger, ledger.under_way, force=True)
            current = ledger.current()
            if "alias-moved" in kinds and current:
                moves.mend(ledger, CHAMPION, current.after, current.release)
            if "previous-moved" in kinds:
                registry.set_alias(name, PREVIOUS, _previous(ledger))
            if kinds & {"tags-behind", "two-champions"} and current:
                moves.repeat(ledger, current)
                self._unclaim(ledger, current)
            if "promotion-unfinished" in kinds and not ledger.under_way:
                self._promote(name)
        except ReleaseError as error:
            return [f"{name}: not mended: {error}"]
        return []

    def _promote(self, name: str) -> None:
        running = self.target.find("production", name)
        release = self._release(running.identity.release) if running else None
        if release and _promotable(release):
            promote_model(release, self.target)

    def _look(self, ledger: Ledger) -> tuple[Seen, list[str]]:
        registry, name = self.workspace.registry, ledger.model
        aliases = registry.aliases(name) if registry.has_model(name) else None
        current, running = ledger.current(), self.target.find("production", name)
        release = self._release(current.release) if current and current.release else None
        seen = Seen(
            name,
            current,
            ledger.under_way,
            _previous(ledger),
            aliases,
            served=self._served(running),
            target=self.target.name,
        )
        if current is None or release is None:
            return seen, []
        build, notes = self._build(release)
        seen = replace(
            seen,
            recorded=release.digest,
            files=self._files(release),
            altered=release.alterations(page=True),
            behind=moves.behind(ledger, current),
            claims=_claims(ledger),
            build=build,
        )
        if running and running.identity.release == release.id:
            deployment = Deployment(release.identity, image=release.image)
            seen = replace(
                seen,
                changes=str(self.target.diff("production", deployment)),
                pods=self.target.faults("production", deployment),
            )
        return seen, notes

    def _served(self, running: Running | None) -> Served | None:
        if running is None:
            return None
        release = self._release(running.identity.release)
        return Served(
            running.identity,
            running.replicas,
            release.state if release else "unknown",
            release is not None and _promotable(release),
        )

    def _release(self, run_id: str) -> Release | None:
        try:
            return releases.load(self.workspace.registry, run_id)
        except UsageError:
            return None

    def _young(self, run_id: str) -> bool:
        release = self._release(run_id)
        at = release.ended("deploy-production") if release else ""
        return bool(at) and _age(at) < self.grace

    def _files(self, release: Release) -> str | None:
        """Digest of the version's files; "" where they are gone, None where the version is."""
        registry = self.workspace.registry
        try:
            version = registry.version(release.model, release.version)
        except UsageError:
            return None
        try:
            return self.workspace.fetch_model(version)[1]
        except UsageError:
            return ""

    def _build(self, release: Release) -> tuple[str, list[str]]:
        """What is wrong with what the release is started from, and what was not looked at."""
        if not self.target.runs_images:
            context = self.workspace.context(release.id)
            if not context.is_dir():
                return f"no context {context}", []
            changed = model_digest(context) != release.context_digest
            return (f"context {context} was changed" if changed else ""), []
        reference = release.image
        if not reference:
            return "no image in the release", []
        if not shutil.which("docker"):
            return "", [f"{release.model}: no docker here: image {reference} was not looked up"]
        labels = docker.labels(reference)
        return (f"{reference} is not in its registry" if labels is None else ""), []

    def _unclaim(self, ledger: Ledger, current: Entry) -> None:
        """End, in their tags, the reigns of releases that the ledger does not have as champion."""
        for each in releases.released(ledger.registry, ledger.model):
            if each.id != current.release and not each.champion_until:
                each.note({names.CHAMPION_UNTIL: history.closed_at(current)})


def _claims(ledger: Ledger) -> list[str]:
    """Releases whose tags say that they are champion now."""
    found = releases.released(ledger.registry, ledger.model)
    return [f"{short_id(each.id)} ({each.version})" for each in found if not each.champion_until]


def _promotable(release: Release) -> bool:
    return release.state == "open" and release.passed("approve")


def _previous(ledger: Ledger) -> str:
    done = (entry for entry in reversed(ledger.entries) if entry.done)
    return next((entry.before for entry in done if history.remembers(entry)), "")


def _age(text: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()


def _report(
    names: Sequence[str],
    left: Sequence[Difference],
    fixed: Sequence[Difference],
    notes: Sequence[str],
) -> Report:
    tables = [
        Table(title, COLUMNS, [_row(each) for each in rows])
        for title, rows in (("Differences", left), ("Mended", fixed))
        if rows
    ]
    data: dict[str, Any] = {
        "models": list(names),
        "differences": [asdict(each) for each in left],
        "fixed": [asdict(each) for each in fixed],
        "notes": list(notes),
    }
    return Report(
        title=f"audit of {', '.join(names) or 'nothing: no model has a release'}",
        outcome="refused" if left else "passed",
        tables=tables,
        lines=[*notes, *(each.mend for each in left)],
        data=data,
        exit_code=1 if left else 0,
    )


def _row(each: Difference) -> tuple[str, ...]:
    return (each.model, each.kind, each.expected, each.found, each.cause, each.mend)
