"""A release's tags as typed attributes, those of older releases as well."""

from model_release.releases.record import Approved, Record

OLDEST = {
    "release.model": "iris",
    "release.version": "3",
    "release.digest": "sha256:a",
    "release.state": "open",
}


def test_what_a_release_does_not_say_is_empty() -> None:
    record = Record("r", OLDEST)
    assert (record.model, record.version, record.digest, record.state) == (
        *("iris", "3", "sha256:a", "open"),
    )
    named = ("source_run", "config", "champion", "lock_digest", "context_digest", "image")
    named += ("image_digest", "base_image", "commit", "signed_by", "champion_since")
    named += ("champion_until", "rollback_reason")
    assert {getattr(record, name) for name in named} == {""}
    assert (record.batching, record.approved) == (False, Approved())
    assert (record.result("smoke"), record.ended("smoke")) == ("", "")
    assert not record.passed("smoke")


def test_what_stations_wrote_is_read() -> None:
    tags = {
        "release.champion": "2",
        "release.batching": "true",
        "release.lock": "b",
        "release.context": "sha256:c",
        "release.image": "host/iris@sha256:d",
        "station.smoke": "refused",
        "station.smoke.at": "2026-11-24T21:00:00+00:00",
        "station.build": "passed",
        "approval.by": "ada",
        "approval.comment": "Ship it!",
        "champion.until": "",
        "rolled_back.reason": "wrong answers",
    }
    record = Record("r", OLDEST | tags)
    assert (record.champion, record.batching, record.lock_digest) == ("2", True, "b")
    assert (record.context_digest, record.image) == ("sha256:c", "host/iris@sha256:d")
    assert (record.result("smoke"), record.ended("smoke")) == (
        *("refused", "2026-11-24T21:00:00+00:00"),
    )
    assert (record.passed("smoke"), record.passed("build")) == (False, True)
    assert record.approved == Approved(by="ada", comment="Ship it!")
    assert (record.champion_until, record.rollback_reason) == ("", "wrong answers")
