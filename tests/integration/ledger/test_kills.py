"""A rollback and a mend, killed before and after every write: the next one brings all together.

Real versions, files and servers: production is the local target.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from model_release.operations.audit_release import Audit
from model_release.operations.rollback_model import rollback_model
from model_release.registry import Registry
from model_release.releases.history import Entry
from model_release.releases.ledger import Ledger, read_ledger
from model_release.releases.moves import behind
from model_release.targets.local.target import LocalTarget
from model_release.workspace import Workspace
from tests.integration.ledger.dying_processes import KILLED, run_and_die, workspace_and_target
from tests.integration.script_runner import MODEL, make_script_runner

pytestmark = pytest.mark.long


@dataclass
class Production:
    """A model of which two versions were champion, and what has come to be of it."""

    arguments: tuple[str, str]
    workspace: Workspace
    target: LocalTarget

    @property
    def registry(self) -> Registry:
        return self.workspace.registry

    @property
    def ledger(self) -> Ledger:
        return read_ledger(self.registry, MODEL)

    @property
    def champion(self) -> Entry:
        found = self.ledger.current()
        assert found
        return found

    @property
    def other(self) -> Entry:
        """The last move to the version that is not champion."""
        return [each for each in self.ledger.entries if each.after != self.champion.after][-1]

    def killed(self, action: str, *arguments: str, at: int, before: bool) -> bool:
        """Do an action that dies at a write; False where it did not come to so many."""
        code = run_and_die(
            self.registry.uri, action, [*self.arguments, MODEL, *arguments], at, before
        )
        assert code in (0, KILLED)
        self.check_serves_what_the_ledger_knows()
        return code == KILLED

    def roll_back(self, release: str) -> None:
        """Go on with a rollback, as the same command does; "" to the champion before."""
        reason = "going on"
        rollback_model(self.workspace, MODEL, self.target, reason=reason, release_id=release)

    def kinds(self, *, fix: bool = False) -> list[str]:
        """The differences that an audit finds, or leaves."""
        report = Audit(self.workspace, self.target, grace=0.0).report([MODEL], fix=fix)
        return [each["kind"] for each in report.data["differences"]]

    def check_serves_what_the_ledger_knows(self) -> None:
        """Whatever died: production serves the champion, or what is on its way to be it."""
        (running,) = self.target.running("production")
        known = [each.release for each in (self.champion, self.ledger.under_way) if each]
        assert (running.identity.release in known, running.replicas) == (True, 1)

    def check_together(self, release: str, version: str) -> None:
        """Ledger, alias and deployment have this release, and an audit finds nothing."""
        assert self.kinds() == []
        (running,) = self.target.running("production")
        assert (running.identity.release, running.identity.version) == (release, version)
        assert (self.champion.release, self.champion.after) == (release, version)
        assert self.registry.alias(MODEL, "champion") == version


@pytest.fixture(scope="module")
def production(
    sqlite_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    made = make_script_runner(
        tmp_path_factory.mktemp("kills"), tmp_path_factory.getbasetemp().parent / "shared"
    )
    made.environment["MLFLOW_TRACKING_URI"] = sqlite_server
    for trees in (20, 40):
        made.train("--n-estimators", str(trees))
        made.release()
    names = ("staging", "production")
    ports = json.dumps({name: int(made.environment[f"{name.upper()}_PORT"]) for name in names})
    arguments = (str(made.home), ports)
    yield Production(arguments, *workspace_and_target(Registry(sqlite_server), *arguments))
    made.run("scripts/release_status.py", "--stop")


def test_killed_at_its_end_the_same_rollback_does_not_go_further_back(
    production: Production,
) -> None:
    goal = production.other
    ends = 4  # entry, champion, previous-champion, close
    assert production.killed("roll back", "", at=ends, before=False)
    assert production.ledger.under_way is None
    assert behind(production.ledger, production.champion), "its releases do not say so yet"
    production.roll_back("")
    assert production.champion.reason == "wrong answers", "it is the same move"
    production.check_together(goal.release, goal.after)


def test_a_rollback_killed_at_any_write_goes_on(production: Production) -> None:
    for before in (True, False):
        for at in count(1):
            goal = production.other
            killed = production.killed("roll back", goal.release, at=at, before=before)
            if killed:
                assert set(production.kinds()) in (set(), {"rollback-unfinished"}, {"tags-behind"})
                production.roll_back(goal.release)
            production.check_together(goal.release, goal.after)
            if not killed:
                break
        assert at == 7, "entry, champion, previous-champion, close, two releases"


def test_a_mend_killed_at_any_write_is_mended(production: Production) -> None:
    for before in (True, False):
        for at in count(1):
            champion, other = production.champion, production.other
            entries = len(production.ledger.entries)
            production.registry.set_alias(MODEL, "champion", other.after)
            production.registry.set_alias(MODEL, "previous-champion", champion.after)
            killed = production.killed("mend", at=at, before=before)
            if killed:
                production.kinds(fix=True)
            production.check_together(champion.release, champion.after)
            (mend,) = production.ledger.entries[entries:]
            assert (mend.kind, mend.done) == ("mend", True)
            if not killed:
                break
        assert at == 6, "entry, champion, close, its release, previous-champion"
