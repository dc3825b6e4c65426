"""Approval: by name, by asking, by rule; a no ends the release."""

from collections.abc import Mapping
from typing import Any

import pytest

from model_release import commands
from model_release.errors import RefusedError, UsageError
from model_release.releases import Release
from model_release.stations.approve_model import Approval, approve


class Written:
    """Stands for the registry, which these tests only write to; the real one is in integration."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.version_tags: dict[str, str] = {}

    def run_parameters(self, run_id: str) -> dict[str, str]:
        return {}

    def write_run(self, run_id: str, **what: Any) -> None:
        self.runs.append({"id": run_id, **what})

    def tag_version(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        self.version_tags |= tags


@pytest.fixture
def release() -> Release:
    tags = {"release.model": "iris", "release.version": "2", "release.state": "open"}
    return Release("r" * 32, tags, Written())  # type: ignore[arg-type]


def test_named_approver_is_recorded(release: Release) -> None:
    approved = approve(release, Approval(protected=True, user="ci", given="ada@example.org"))
    assert approved.passed("approve")
    assert approved.tags["approval.by"] == "ada@example.org"
    assert release.registry.version_tags["approval_status"] == "approved"  # type: ignore[attr-defined]


def test_protected_waits_and_writes_nothing(release: Release) -> None:
    with pytest.raises(RefusedError, match=r"waits for approval.*'APPROVE=<your name>'"):
        approve(release, Approval(protected=True, user="ci"))
    assert release.registry.runs == []  # type: ignore[attr-defined]


def test_what_is_suggested_waits_for_a_name() -> None:
    """It is pasted at night, and nobody of that name approved."""
    with pytest.raises(UsageError, match=r"approver '<your name>'"):
        Approval(protected=True, user="ci", given=commands.APPROVER)


def test_unprotected_takes_who_started_it(release: Release) -> None:
    approved = approve(release, Approval(protected=False, user="ada"))
    assert (approved.tags["approval.by"], approved.tags["approval.how"]) == (
        "ada",
        "unattended; this production is not protected",
    )


@pytest.mark.parametrize("protected", [True, False])
def test_a_person_at_the_terminal_is_asked(release: Release, protected: bool) -> None:
    questions: list[str] = []

    def yes(question: str) -> bool:
        questions.append(question)
        return True

    approved = approve(release, Approval(protected=protected, user="ada", ask=yes))
    assert approved.tags["approval.how"] == "asked on the terminal"
    assert questions == ["Release iris 2 to production?"]


def test_no_ends_the_release(release: Release) -> None:
    with pytest.raises(RefusedError, match="rejected by ada"):
        approve(release, Approval(protected=False, user="ada", ask=lambda _: False))
    written = release.registry.runs[0]["tags"]  # type: ignore[attr-defined]
    assert (written["station.approve"], written["release.state"]) == ("refused", "refused")
    assert release.registry.version_tags["approval_status"] == "rejected"  # type: ignore[attr-defined]


def test_asked_once(release: Release) -> None:
    approved = approve(release, Approval(protected=False, user="ada"))
    again = approve(approved, Approval(protected=True, user="eve"))
    assert again is approved


@pytest.mark.parametrize("name", ["$(id)", "a;b", "x\ny", "`id`", "a" * 101, "<b>"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(UsageError, match="approver"):
        Approval(protected=True, user="ci", given=name)
