"""A week of releases on the local target: MLflow on PostgreSQL, files in S3 by SeaweedFS."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.report.progress import Progress
from model_release.targets.local.target import LocalTarget
from model_release.workspace import Workspace
from tests.integration.script_runner import make_script_runner
from tests.week_of_releases import (
    Moments,
    Week,
    check_what_else_an_audit_finds,
    mlflow_on_postgres_and_s3,
    release_for_a_week,
)


class LocalWeek(Week):
    """A week on this machine's two ports."""

    moments = Moments(comparing="draining", beginning="starting", ending="draining")
    build_gone = "context-gone"

    @contextmanager
    def without_build(self, release: str) -> Iterator[None]:
        context = self.workspace.home / "contexts" / release
        away = shutil.move(context, context.with_suffix(".away"))
        yield
        shutil.move(away, context)


@pytest.fixture
def week(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    runner = make_script_runner(tmp_path, tmp_path_factory.getbasetemp().parent / "shared")
    ports = {
        name: int(runner.environment[f"{name.upper()}_PORT"]) for name in ("staging", "production")
    }
    with mlflow_on_postgres_and_s3(tmp_path) as url:
        runner.environment["MLFLOW_TRACKING_URI"] = url
        workspace = Workspace(runner.home, ROOT / "models", url, Progress(quiet=True))
        yield LocalWeek(runner, workspace, LocalTarget(runner.home, ports))
        runner.run("scripts/release_status.py", "--stop")


@pytest.mark.long
def test_a_week(week: Week) -> None:
    release_for_a_week(week)
    check_what_else_an_audit_finds(week)
