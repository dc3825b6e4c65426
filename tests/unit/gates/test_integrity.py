"""Integrity: the files are READY and those of this release."""

import dataclasses

import pytest

from model_release.gates.evidence import Files
from model_release.gates.integrity import Limits, judge

GOOD = Files("wine", "3", "READY", "sha256:" + "a" * 64, "sha256:" + "a" * 64, 4, 2048)


@pytest.mark.parametrize("recorded", [None, GOOD.digest])
def test_passes_before_and_after_the_digest_is_recorded(recorded: str | None) -> None:
    outcome = judge(dataclasses.replace(GOOD, recorded=recorded), Limits())
    assert outcome.status == "passed"
    assert outcome.found == "4 files, 2,048 bytes, sha256:aaaaaaaaaaaa…"
    assert outcome.facts == (("size_bytes", 2048),)


def test_fails_when_the_version_is_not_ready() -> None:
    outcome = judge(dataclasses.replace(GOOD, status="PENDING_REGISTRATION"), Limits())
    assert (outcome.status, outcome.found) == ("failed", "status PENDING_REGISTRATION")


def test_fails_when_files_changed_after_they_were_validated() -> None:
    outcome = judge(dataclasses.replace(GOOD, digest="sha256:" + "b" * 64), Limits())
    assert outcome.status == "failed"
    assert "wine 3 changed after they were validated" in outcome.next_step
