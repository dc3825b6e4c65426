"""MLflow's server on SQLite and on PostgreSQL, once for all tests of the ledger."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_release.registry import Registry
from tests.integration.ledger.servers import mlflow_server, postgres

HERE = Path(__file__).parent
NUMBERS = itertools.count(1)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker for all of them: they share servers."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("ledger"))


@pytest.fixture(scope="session")
def sqlite_server(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's server on SQLite."""
    folder = tmp_path_factory.mktemp("sqlite")
    (folder / "mlflow.db").write_bytes(migrated.read_bytes())
    with mlflow_server(f"sqlite:///{folder}/mlflow.db", folder, str(folder / "files")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's server on Debian's PostgreSQL."""
    folder = tmp_path_factory.mktemp("postgres")
    with postgres() as store, mlflow_server(store, folder, str(folder / "files")) as url:
        yield url


@pytest.fixture
def new_model() -> Callable[[Registry, int], str]:
    """Registers a model of its own with so many versions; returns its name."""
    from tests.integration.ledger.dying_processes import versions

    def make(registry: Registry, count: int) -> str:
        name = f"ledger-{next(NUMBERS)}"
        versions(registry, name, count)
        return name

    return make
