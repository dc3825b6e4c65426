"""GitHub's API as the recorded server plays it: what is asked, and what a failure says."""

from collections.abc import Iterator

import pytest

from model_release.errors import OutsideError, UsageError
from model_release.github import GitHub
from tests.github import REPOSITORY, RUN, Recorded, approval, serve


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with serve() as server:
        yield server


def test_environment_and_its_branches(recorded: Recorded) -> None:
    assert recorded.client.environment("production") is None
    recorded.protect()
    found = recorded.client.environment("production")
    assert found
    assert found["name"] == "production"
    assert recorded.client.branch_policies("production") == ["main"]
    assert recorded.tokens == {"Bearer ghs_token"}


def test_run_and_approvals(recorded: Recorded) -> None:
    recorded.reviewed("ada", approval("octocat"))
    assert recorded.client.run(RUN)["triggering_actor"]["login"] == "ada"
    assert recorded.client.approvals(RUN)[0]["user"]["login"] == "octocat"


def test_an_error_names_what_was_asked_and_not_the_token(recorded: Recorded) -> None:
    with pytest.raises(OutsideError, match=r"actions/runs/1/approvals of .*404 Not Found") as error:
        recorded.client.approvals("1")
    assert "ghs_token" not in str(error.value) + repr(recorded.client)


@pytest.mark.parametrize(
    ("status", "next_step"),
    [
        *((each, "give the token the permission") for each in (401, 403)),
        *((each, "read https://www.githubstatus.com") for each in (422, 429, 500, 503)),
    ],
)
def test_a_permission_is_asked_for_where_one_is_missing(
    recorded: Recorded, status: int, next_step: str
) -> None:
    recorded.failures[f"GET actions/runs/{RUN}"] = status
    with pytest.raises(OutsideError) as error:
        recorded.client.run(RUN)
    assert error.value.found == f"{status} Sorry"
    assert error.value.next_step.startswith(next_step)


def test_nobody_answers() -> None:
    with pytest.raises(OutsideError, match=r"GitHub at http://127.0.0.1:1; .*ConnectionError"):
        GitHub(REPOSITORY, api="http://127.0.0.1:1").run(RUN)


def test_outside_of_a_workflow() -> None:
    with pytest.raises(UsageError, match="owner/name in GITHUB_REPOSITORY"):
        GitHub.from_environment({})
