"""The audit's decisions: what differs, why, and what mends it."""

from dataclasses import replace
from typing import Any

import pytest

from model_release.identity import Identity
from model_release.operations.differences import Difference, Seen, Served, differences
from model_release.releases.binding import Alteration
from model_release.releases.history import Close, Entry

AT = "2026-11-24T21:00:00.000+00:00"
DONE = Entry(
    3, "id", "champion", "promotion", "1", "2", "r2", AT, "ada", close=Close("done", AT)
)  # fmt: skip
OPEN = replace(DONE, number=4, before="2", after="3", release="r3", close=None)
SERVED = Identity("iris", "2", "sha256:a", "r2")
ALTERED = Alteration("artifact validate/requirements.lock", "sha256 a", "sha256 b", "put it back")
SOUND = Seen(
    "iris",
    DONE,
    previous="1",
    aliases={"champion": "2", "previous-champion": "1", "challenger": "4"},
    recorded="sha256:a",
    files="sha256:a",
    claims=["r2 (2)"],
    served=Served(SERVED, 1, "released"),
)


def found(**changes: Any) -> list[Difference]:
    return differences(replace(SOUND, **changes))


def test_all_is_well() -> None:
    assert found() == []


def test_a_model_that_was_never_released_and_serves_nothing() -> None:
    assert differences(Seen("iris")) == []


@pytest.mark.parametrize(
    ("changes", "kinds", "mend"),
    [
        ({"aliases": {"champion": "5"}}, ["alias-moved"], "--fix"),
        ({"aliases": {}}, ["alias-moved"], "--fix"),
        ({"aliases": SOUND.aliases | {"previous-champion": "9"}}, ["previous-moved"], "--fix"),
        ({"aliases": SOUND.aliases | {"Champion": "4"}}, ["two-champions"], "delete the alias"),
        ({"claims": ["r1 (1)", "r2 (2)"]}, ["two-champions"], "--fix"),
        ({"claims": ["r1 (1)", "r2 (2)"], "behind": ["r1"]}, ["tags-behind"], "--fix"),
        ({"files": None, "aliases": {}}, ["version-deleted"], "rollback_model.py"),
        ({"aliases": None}, ["version-deleted", "alias-moved"], "rollback_model.py"),
        ({"files": "sha256:b"}, ["files-changed"], "restore the files"),
        ({"files": ""}, ["files-changed"], "restore the files"),
        ({"altered": [ALTERED]}, ["evidence-changed"], "put it back"),
        ({"served": None}, ["nothing-serves"], "--release r2"),
        ({"served": replace(SOUND.served, replicas=0)}, ["nothing-serves"], "--release r2"),
        (
            {"served": Served(Identity("iris", "9", "sha256:z", "r9"), 1, "unknown")},
            ["deployment-changed"],
            "rollback_model.py",
        ),
        (
            {"served": Served(Identity("iris", "3", "sha256:z", "r3"), 1, "open", promotable=True)},
            ["promotion-unfinished"],
            "promote_model.py",
        ),
        ({"changes": "Deployment iris (2 lines)"}, ["deployment-changed"], "--release r2"),
        (
            {"served": replace(SOUND.served, identity=replace(SERVED, digest="sha256:b"))},
            ["deployment-changed"],
            "--release r2",
        ),
        ({"pods": ["pod a: version 9"]}, ["pods-differ"], "--release r2"),
        ({"build": "not there", "target": "kubernetes"}, ["image-gone"], "go back"),
        ({"build": "not there"}, ["context-gone"], "go back"),
        ({"under_way": OPEN}, ["promotion-unfinished"], "--fix"),
        ({"under_way": replace(OPEN, kind="rollback")}, ["rollback-unfinished"], "--release r3"),
        ({"under_way": replace(OPEN, kind="transition")}, ["move-unfinished"], "--fix"),
        ({"behind": ["release r1 lacks champion.until"]}, ["tags-behind"], "--fix"),
    ],
)
def test_each_difference_is_named_with_its_mend(
    changes: dict[str, Any], kinds: list[str], mend: str
) -> None:
    told = found(**changes)
    assert [each.kind for each in told] == kinds
    assert mend in told[0].mend
    assert all(each.cause and each.expected and each.found for each in told)
    assert all(("--fix" in each.mend) <= each.fixable for each in told)


def test_an_alias_set_by_hand_before_the_first_release() -> None:
    told = differences(Seen("iris", aliases={"champion": "1"}))
    assert [each.kind for each in told] == ["alias-moved"]
    assert not told[0].fixable
    assert told[0].mend == "make release MODEL=iris VERSION=1 TARGET=local"


def test_what_is_deployed_before_anything_was_promoted() -> None:
    served = Served(Identity("iris", "1", "sha256:a", "r1"), 1, "open", promotable=True)
    told = differences(Seen("iris", aliases={}, served=served, target="kubernetes"))
    assert [each.kind for each in told] == ["promotion-unfinished"]
    assert told[0].mend == (
        "python scripts/promote_model.py --model-name iris --model-version 1 "
        "--release r1 --target kubernetes"
    )


def test_what_serves_without_any_release_is_replaced_where_it_serves() -> None:
    served = Served(Identity("iris", "1", "sha256:a", "r1"), 1, "unknown")
    (told,) = differences(Seen("iris", aliases={}, served=served, target="kubernetes"))
    assert (told.kind, told.fixable) == ("deployment-changed", False)
    assert told.mend == "make release MODEL=iris TARGET=kubernetes"


def test_several_at_once_are_all_told() -> None:
    told = found(aliases={"champion": "5"}, files="sha256:b", served=None, build="gone")
    assert [each.kind for each in told] == [
        "alias-moved",
        "files-changed",
        "nothing-serves",
        "context-gone",
    ]
