"""Retries: what is tried again and for how long."""

import pytest
from mlflow.exceptions import MlflowException

from model_release.errors import UsageError
from model_release.registry import retries
from model_release.registry.retries import RetriedCalls, transient


class Server:
    """Fails as often as told, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def ask(self, answer: str) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return answer


def failure(text: str = "500", code: str = "INTERNAL_ERROR") -> MlflowException:
    error = MlflowException(text)
    error.error_code = code
    return error


def test_transient_faults_are_tried_again() -> None:
    server = Server(failure(), failure("busy", "TEMPORARILY_UNAVAILABLE"))
    retrying = RetriedCalls(server)
    assert retrying.ask("yes") == "yes"
    assert retrying.attempts == server.calls == 3
    retrying.ask("again")
    assert retrying.attempts == 1


@pytest.mark.parametrize("code", ["RESOURCE_DOES_NOT_EXIST", "PERMISSION_DENIED"])
def test_refusals_are_not(code: str) -> None:
    server = Server(failure("no", code))
    with pytest.raises(MlflowException, match="no"):
        RetriedCalls(server).ask("yes")
    assert server.calls == 1


@pytest.mark.parametrize("text", ["unable to open database file", "database or disk is full"])
def test_what_lasts_is_not(text: str) -> None:
    assert not transient(failure(text))


def test_time_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_RETRY_SECONDS", "0")
    server = Server(failure(), failure())
    with pytest.raises(MlflowException, match="500"):
        RetriedCalls(server).ask("yes")
    assert server.calls == 1


def test_a_bug_is_not_tried_again() -> None:
    server = Server(ZeroDivisionError("bug"))
    with pytest.raises(ZeroDivisionError):
        RetriedCalls(server).ask("yes")
    assert server.calls == 1


def test_an_address_where_nobody_ever_answered_is_told_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.0)
    error = failure("NewConnectionError: connection refused")
    server = Server(error, error)
    with pytest.raises(MlflowException):
        RetriedCalls(server).ask("yes")
    assert server.calls == 1

    server = Server()
    retrying = RetriedCalls(server)
    retrying.ask("yes")
    server.errors = [error]
    assert retrying.ask("yes") == "yes", "it had answered before"


def test_a_number_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_RETRY_SECONDS", "soon")
    with pytest.raises(UsageError, match=r"REGISTRY_RETRY_SECONDS=soon"):
        RetriedCalls(Server())
