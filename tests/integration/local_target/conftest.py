"""A local target of its own for each test, or one that serves version 1 all the while."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from model_release.smoke import ask_identity
from model_release.targets import Running
from tests.integration.local_target.local_servers import LocalServers, answer, save_model, stream


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's files, saved once."""
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def servers(tmp_path: Path, model: Path) -> Iterator[LocalServers]:
    """A target that nothing is deployed to yet; all that is gets ended."""
    servers = LocalServers(tmp_path, model)
    yield servers
    servers.target.stop()
    assert servers.alive() == []


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[LocalServers]:
    """For what has to change nothing: version 1 serves, before and after."""
    servers = LocalServers(tmp_path_factory.mktemp("serving"), model)
    servers.deploy("1")
    yield servers
    servers.target.stop()


@pytest.fixture
def first(serving: LocalServers) -> Iterator[Running]:
    """What serves, under a stream of requests that none of it may fail."""
    (running,) = serving.target.running()
    serving.steps.clear()
    with stream(running) as requests:
        yield running
    assert (requests.failures, set(requests.answers)) == ([], {answer("1")})
    assert serving.target.running() == [running]
    assert serving.alive() == ["1"]
    assert ask_identity(running.url) == running.identity
