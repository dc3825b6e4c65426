"""Who a model is, written and read; slugs: DNS labels that no two models share."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_release.identity import PREFIX, Identity, short_digest, slug
from serving import context

LABEL = re.compile(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?")
NAMES = st.text(min_size=1) | st.from_regex(r"[a-z]{1,8}(-canary|-[0-9a-f]{8})?", fullmatch=True)


@pytest.mark.parametrize("name", ["iris", "iris-classifier", "m2", "x" * 40])
def test_a_name_that_is_a_label_is_its_own_slug(name: str) -> None:
    assert slug(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Iris", "iris-65003c7a"),
        ("iris_1", "iris-1-e41b5886"),
        ("prod.team/Kreditrisiko α", "prod-team-kreditrisiko-"),
        ("2nd", "m-2nd-"),
        ("α", "m-"),
        ("iris-", "iris-"),
        ("iris-canary", "iris-canary-"),
        ("iris-0123abcd", "iris-0123abcd-"),
        ("x" * 41, "x" * 40 + "-"),
    ],
)
def test_any_other_name_gets_a_hash(name: str, expected: str) -> None:
    assert re.fullmatch(rf"{expected}([0-9a-f]{{8}})?", slug(name))
    assert slug(name) != name


@given(NAMES, NAMES)
def test_slugs_are_labels_that_never_meet(one: str, other: str) -> None:
    assert LABEL.fullmatch(slug(one))
    if one != other:
        assert slug(one) != slug(other)
    assert slug(one) != f"{slug(other)}-canary"


def test_slugs_are_folder_names_and_differ() -> None:
    names = ["iris", "Iris", "iris-1", "a/b", "a b", "..", ".", "é" * 200, "x" * 200, "x" * 201]
    slugs = [slug(name) for name in names]
    assert slugs[0] == "iris"
    assert len({each.lower() for each in slugs}) == len(names)
    for each in slugs:
        assert len(each) < 60
        assert each not in (".", "..")
        assert "/" not in each


IDENTITY = Identity("iris α", "3", f"sha256:{'a' * 64}", "b" * 32)


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_an_identity_is_read_as_it_was_written(prefix: str) -> None:
    written = IDENTITY.fields(prefix)
    assert list(written) == [prefix + name for name in ("model", "version", "digest", "release")]
    assert Identity.read({**written, "batching": True}, prefix) == IDENTITY
    for name in written:
        with pytest.raises(KeyError, match=name):
            Identity.read({key: written[key] for key in written if key != name}, prefix)


def test_who_serves_names_the_same_fields() -> None:
    names = tuple(IDENTITY.fields())
    assert names == context.IDENTITY
    told = json.loads(context.ServedRelease(**IDENTITY.fields(), batching=True).answer())
    assert Identity.read(told | {"model": told.pop("name")}) == IDENTITY


def test_people_are_shown_the_beginning_of_a_digest_and_of_an_id() -> None:
    assert str(IDENTITY) == "iris α 3 (sha256:aaaaaaaaaaaa…, release bbbbbbbb)"
    assert short_digest("c" * 64) == "c" * 12
