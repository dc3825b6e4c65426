"""The approval that GitHub asked for: read back, held against the model's rules, recorded."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from model_release.errors import RefusedError
from model_release.registry import ModelVersion
from model_release.releases import Release
from model_release.stations.approve_release import Trust, approve_release
from tests.github import RUN, Recorded, approval, serve

GUARDED = Trust(separate=False, required=True)
THREE = Trust(separate=True, required=True)


class Written:
    """Stands for the registry, which these tests write to and ask for one version."""

    def __init__(self, tags: Mapping[str, str]) -> None:
        self.runs: list[dict[str, Any]] = []
        self.tags = dict(tags)

    def version(self, name: str, version: str) -> ModelVersion:
        return ModelVersion(name, version, "READY", "source", dict(self.tags), (), "")

    def run_tags(self, run_id: str) -> dict[str, str]:
        return {"mlflow.user": "ben"}

    def run_parameters(self, run_id: str) -> dict[str, str]:
        return {}

    def write_run(self, run_id: str, **what: Any) -> None:
        self.runs.append(what)

    def tag_version(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        self.tags |= tags


def release(**tags: str) -> Release:
    facts = {"release.model": "iris", "release.version": "2", "release.state": "open"}
    return Release("r" * 32, facts, Written(tags))  # type: ignore[arg-type]


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with serve() as server:
        yield server


def test_who_approved_is_recorded_with_all_that_led_to_it(recorded: Recorded) -> None:
    recorded.reviewed("ada", approval("octocat"))
    reviewed = approve_release(release(), recorded.client, RUN, THREE)
    assert reviewed.passed("approve")
    found = {
        k: v for k, v in reviewed.tags.items() if k.startswith("approval.") and k[-3:] != ".at"
    }
    assert found == {
        "approval.by": "octocat",
        "approval.how": "reviewed on GitHub",
        "approval.comment": "Ship it!",
        "approval.dispatcher": "ada",
        "approval.trainer": "ben",
        "approval.run": f"https://github.com/octo-org/models/actions/runs/{RUN}",
    }
    assert reviewed.registry.tags["approved_by"] == "octocat"  # type: ignore[attr-defined]


def test_nobody_approved(recorded: Recorded) -> None:
    recorded.reviewed("ada", approval("octocat", place="staging"), approval("eve", "rejected"))
    waiting = release()
    with pytest.raises(RefusedError, match="nobody approved"):
        approve_release(waiting, recorded.client, RUN, GUARDED)
    assert waiting.registry.runs == []  # type: ignore[attr-defined]


def test_a_plan_without_reviewers_where_the_operator_said_so(recorded: Recorded) -> None:
    recorded.reviewed("ada")
    reviewed = approve_release(
        release(), recorded.client, RUN, Trust(separate=False, required=False)
    )
    assert reviewed.tags["approval.by"] == "ada"
    assert reviewed.tags["approval.how"] == "dispatched; GitHub does not ask for a review"


@pytest.mark.parametrize(
    ("dispatcher", "approver", "tags", "found"),
    [
        ("octocat", "octocat", {}, "octocat approved and dispatched the run"),
        ("ada", "ben", {}, "ben approved and trained the model"),
        ("ada", "octocat", {"trained_by": "octocat"}, "octocat approved and trained the model"),
        ("ben", "octocat", {}, "ben dispatched the run and trained the model"),
    ],
)
def test_three_people_where_the_model_wants_them(
    recorded: Recorded, dispatcher: str, approver: str, tags: dict[str, str], found: str
) -> None:
    recorded.reviewed(dispatcher, approval(approver))
    refused = release(**tags)
    with pytest.raises(RefusedError, match=found):
        approve_release(refused, recorded.client, RUN, THREE)
    assert refused.registry.runs == []  # type: ignore[attr-defined]
    assert (
        approve_release(release(**tags), recorded.client, RUN, GUARDED).tags["approval.by"]
        == approver
    )
