"""A week of releases, whatever the target: released, refused, rolled back, killed."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import boto3
import mlflow

from model_release import releases
from model_release.operations.audit_release import Audit
from model_release.releases import history
from model_release.releases.ledger import read_ledger
from model_release.targets import Running, Target
from model_release.workspace import Workspace
from tests.integration.ledger.servers import mlflow_server, postgres, seaweed
from tests.integration.script_runner import MODEL, ScriptRunner

WORSE = ("--n-estimators", "1", "--max-depth", "1")
RELEASE, ROLLBACK = "scripts/run_release.py", "scripts/rollback_model.py"
AUDIT = "scripts/audit_release.py"


@contextmanager
def mlflow_on_postgres_and_s3(folder: Path) -> Iterator[str]:
    """MLflow's server with its database in PostgreSQL and its files in S3."""
    with postgres() as store, seaweed(folder) as s3:
        keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
        boto3.client(
            "s3",
            endpoint_url=s3,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        ).create_bucket(Bucket="models")
        settings = keys | {"MLFLOW_S3_ENDPOINT_URL": s3, "AWS_DEFAULT_REGION": "us-east-1"}
        with mlflow_server(store, folder, "s3://models/files", settings) as url:
            yield url


@dataclass(frozen=True)
class Moments:
    """Lines of a target's progress at which the week kills what is under way in production."""

    comparing: str
    beginning: str
    ending: str


@dataclass
class Week:
    """A state folder, its target, and what was seen: who was champion at which moment.

    A target adds its moments, and how what the champion is started from gets lost there.
    """

    runner: ScriptRunner
    workspace: Workspace
    target: Target
    seen: list[tuple[datetime, str]] = field(default_factory=list)

    moments: ClassVar[Moments]
    build_gone: ClassVar[str]
    """What an audit calls it when that is lost."""

    def without_build(self, release: str) -> AbstractContextManager[None]:
        """What a release is started from is lost while the block runs."""
        raise NotImplementedError

    @property
    def running(self) -> Running:
        """What production serves."""
        (found,) = self.target.running("production")
        return found

    def look(self, champion: str) -> None:
        """Alias and production are this version now; keep that for the end."""
        assert self.workspace.registry.alias(MODEL, "champion") == champion
        assert (self.running.identity.version, self.running.replicas) == (champion, 1)
        self.seen.append((datetime.now(UTC), champion))

    def release(self, version: str, killed_at: str, code: int = 0) -> None:
        """Release a version; the first attempt is killed."""
        named = ("--model-version", version, "--approve", "ada")
        assert self.runner.kill_at(killed_at, RELEASE, *named), f"not killed at {killed_at}"
        self.runner.run(RELEASE, *named, code=code)

    def roll_back(self, reason: str, killed_at: str) -> None:
        """Roll back; the first attempt is killed."""
        named = ("--reason", reason)
        assert self.runner.kill_at(killed_at, ROLLBACK, *named), f"not killed at {killed_at}"
        self.runner.run(ROLLBACK, "--reason", "going on")

    def restore(self) -> None:
        """What production serves is put there anew, as it was released."""
        champion = read_ledger(self.workspace.registry, MODEL).current()
        assert champion
        self.runner.run(ROLLBACK, "--release", champion.release, "--reason", "restore it")

    def kinds(self) -> list[str]:
        """The differences that an audit finds."""
        report = Audit(self.workspace, self.target, 0.0).report([MODEL], fix=False)
        assert report.exit_code == bool(report.data["differences"])
        return [each["kind"] for each in report.data["differences"]]


def release_for_a_week(week: Week) -> None:
    """Five releases, one refused; two rollbacks; an alias moved by hand and mended; each killed."""
    for number in range(2):
        week.runner.train("--n-estimators", str(100 + number))
    week.runner.train(*WORSE)
    for number in range(2):
        week.runner.train("--n-estimators", str(110 + number))

    week.release("1", "▶ deploy to production")
    week.look("1")
    week.release("2", "▶ promote")
    week.look("2")
    week.release("3", "loadable", code=1)
    week.look("2")
    week.release("4", week.moments.comparing)
    week.look("4")
    week.roll_back("wrong answers since Monday", week.moments.beginning)
    week.look("2")
    week.release("5", "▶ smoke")
    week.look("5")
    week.roll_back("slow since Friday", week.moments.ending)
    week.look("2")

    week.workspace.registry.set_alias(MODEL, "champion", "5")
    assert week.kinds() == ["alias-moved"]
    assert week.runner.kill_at("auditing", AUDIT, "--fix")
    week.runner.run(AUDIT, "--fix")
    week.look("2")
    assert week.kinds() == []
    check_history(week)
    check_bad_input(week)


def check_history(week: Week) -> None:
    """The ledger tells exactly what happened, and who was champion at every moment seen."""
    out, _ = week.runner.run("scripts/release_history.py", "--format", "json")
    told = json.loads(out)["entries"]
    assert [(row["how"], row["version"], row["approved_by"], row["why"]) for row in told] == [
        ("promotion", "1", "ada", ""),
        ("promotion", "2", "ada", ""),
        ("promotion", "4", "ada", ""),
        ("rollback", "2", "ada", "wrong answers since Monday"),
        ("promotion", "5", "ada", ""),
        ("rollback", "2", "ada", "slow since Friday"),
        ("mend", "2", "ada", "the alias was moved by hand to 5"),
    ]
    assert [row["since"] for row in told[1:]] == [row["until"] for row in told[:-1]]
    ledger = read_ledger(week.workspace.registry, MODEL)
    for moment, version in week.seen:
        found = history.at_moment(ledger.entries, moment)
        assert found.reign is not None
        assert (found.reign.version, found.moving) == (version, None)
    states = [
        found.state if (found := releases.newest(ledger.registry, MODEL, str(number))) else None
        for number in range(1, 6)
    ]
    assert states == ["released", "released", "refused", "released", "released"]


def check_bad_input(week: Week) -> None:
    """Each is refused by name, and nothing changes."""
    before = read_ledger(week.workspace.registry, MODEL).entries
    for arguments, text in (
        (("--reason", "x", "--model-version", "3"), "expected a release that was champion"),
        (("--reason", " "), "reason; expected words"),
    ):
        _, err = week.runner.run(ROLLBACK, *arguments, code=2)
        assert text in err
    other = releases.start(week.workspace.registry, "other", "1", "sha256:a", {})
    _, err = week.runner.run(ROLLBACK, "--reason", "odd", "--release", other.id, code=2)
    assert f"expected a release of {MODEL}; found a release of other 1" in err
    named = ("--alias", "latest", "--model-version", "1")
    _, err = week.runner.run("scripts/transition_alias.py", *named, code=2)
    assert "which MLflow reserves" in err
    assert read_ledger(week.workspace.registry, MODEL).entries == before
    week.look("2")


def check_what_else_an_audit_finds(week: Week) -> None:
    """One thing after another goes wrong; a rollback to the champion itself restores it."""
    week.target.stop("production")
    assert week.kinds() == ["nothing-serves"]
    week.restore()
    assert week.kinds() == []

    with week.without_build(week.running.identity.release):
        assert week.kinds() == [week.build_gone]

    client = mlflow.MlflowClient(week.workspace.uri)
    source = client.get_model_version(MODEL, "2").source
    changed = week.runner.home / "README.txt"
    changed.write_text("not approved")
    client.log_model_artifact(str(source).rpartition("/")[2], str(changed))
    assert week.kinds() == ["files-changed"]
    named = ("--release", week.running.identity.release, "--reason", "restore it")
    _, err = week.runner.run(ROLLBACK, *named, code=1)
    assert "expected digest" in err

    client.delete_model_version(MODEL, "2")
    assert week.kinds() == ["version-deleted"]
    week.runner.run(ROLLBACK, "--reason", "champion version deleted")
    week.look("1")
    assert week.kinds() == []
