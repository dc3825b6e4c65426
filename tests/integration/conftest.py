"""Workspaces on an embedded registry of their own. Migrating SQLite and installing happen once."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from model_release.processes.locks import file_lock
from model_release.registry import Registry
from model_release.report.progress import Progress
from model_release.workspace import Workspace

HERE = Path(__file__).parent

MLFLOW_WARNS = (
    # sqlalchemy 2.1 about mlflow's own tables
    "ignore:The ``noload`` loader strategy is deprecated",
    # pandas 3 about how mlflow looks at the columns of an input example
    "ignore:Operation with range is deprecated",
    # mlflow about type hints, its own and those of the models in these tests
    r"ignore:.*type hint:UserWarning:mlflow\.",
)

OPTIONS = (
    *("MODEL_NAME", "MODEL_VERSION", "MODELS_DIR", "RELEASE_HOME", "RELEASE_TARGET", "RELEASE_ID"),
    *("RELEASE_ACTOR", "RELEASE_APPROVER", "ROLLBACK_REASON", "IMAGE_DIGEST", "SMOKE_URL"),
    *("KUBE_CONTEXT", "K8S_DIR", "STAGING_PORT", "PRODUCTION_PORT", "REGISTRY_RETRY_SECONDS"),
    *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"),
    *("GITHUB_ACTOR", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"),
)
"""Variables that scripts take options from, or write to: those around the tests are not meant."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Forgive what mlflow itself is warned of, in the tests of this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            for known in MLFLOW_WARNS:
                item.add_marker(pytest.mark.filterwarnings(known))


@pytest.fixture(autouse=True)
def no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OPTIONS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def migrated(shared: Path) -> Path:
    """An empty SQLite registry, its tables made: that takes seconds, a copy does not."""
    path = shared / "mlflow.db"
    with file_lock(shared / "mlflow.lock", "the registry of the tests", wait_seconds=120):
        if not path.exists():
            unfinished = shared / "unfinished.db"
            Registry(f"sqlite:///{unfinished}").experiments("")
            unfinished.rename(path)
    return path


@pytest.fixture(scope="session")
def make_home(
    migrated: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Path]:
    """Makes state folders, each with a registry of its own; locks and environments are shared."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("home")
        shutil.copyfile(migrated, folder / "mlflow.db")
        for name in ("locks", "environments"):
            (shared / name).mkdir(exist_ok=True)
            (folder / name).symlink_to(shared / name)
        return folder

    return make


@pytest.fixture(scope="module")
def home(make_home: Callable[[], Path]) -> Path:
    """The state folder of one file's tests: those of another never see its models."""
    return make_home()


@pytest.fixture
def workspace(home: Path, tmp_path: Path) -> Workspace:
    """The state folder of this file, its registry opened, and limits of this test alone."""
    workspace = Workspace(home, tmp_path / "models", progress=Progress(quiet=True))
    assert workspace.registry.uri.endswith("mlflow.db")
    return workspace
