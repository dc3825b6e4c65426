"""What binds a release: which tags and files, and what tells that one was changed."""

import hashlib

import pytest

from model_release.releases import binding, names
from model_release.releases.binding import Alteration

IMAGE = "r/iris@sha256:aa"
TAGS = {
    names.DIGEST: "sha256:d",
    names.CHAMPION: "",
    names.STATE: "open",
    "station.smoke": "refused",
}
BOUND = {names.DIGEST: "sha256:d", names.CHAMPION: "", "station.build": "passed"}


def test_what_stays_is_bound_and_what_may_come_again_is_not() -> None:
    tags = TAGS | {"station.build": "passed", names.IMAGE_DIGEST: "sha256:aa"}
    assert binding.facts(tags, "build") == BOUND | {names.IMAGE_DIGEST: "sha256:aa"}


def test_a_file_is_bound_by_its_content() -> None:
    told = binding.digests({"requirements.lock": "numpy==2\n"}, "validate")
    sha256 = hashlib.sha256(b"numpy==2\n").hexdigest()
    assert told == {"sha256.validate/requirements.lock": sha256}


def test_a_parameter_that_the_pipeline_does_not_write_says_nothing() -> None:
    foreign = {names.STATE: "open", "alpha": "1", "sha256.page/release.html": "0"}
    assert binding.known(foreign | BOUND) == BOUND


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({}, []),
        ({names.STATE: "released"}, []),
        ({names.DIGEST: "x"}, [("tag release.digest", "sha256:d", "x")]),
        ({names.CHAMPION: "3"}, [("tag release.champion", "none", "3")]),
        ({"station.build": ""}, [("tag station.build", "passed", "none")]),
        (
            {names.IMAGE: "r/iris@sha256:bb"},
            [("tag release.image", "an image @sha256:aa", "r/iris@sha256:bb")],
        ),
    ],
)
def test_a_tag_that_was_rewritten_is_told(
    tags: dict[str, str], found: list[tuple[str, str, str]]
) -> None:
    bound = BOUND | {names.IMAGE_DIGEST: "sha256:aa"}
    as_written = TAGS | bound | {names.IMAGE: IMAGE}
    assert binding.rewritten(as_written | tags, bound, "put it back") == [
        Alteration(*each, "put it back") for each in found
    ]


def test_the_seal_is_that_of_the_validation() -> None:
    validated = binding.digests({"report.json": "{}"}, "validate")
    sealed = binding.seal(validated)
    assert sealed == binding.seal(validated | BOUND | binding.digests({"x": "y"}, "smoke"))
    assert sealed != binding.seal(binding.digests({"report.json": "{ }"}, "validate"))
    assert binding.seal(BOUND) == ""
