"""The reason of a rollback: words of a person, as the ledger can keep them."""

import shlex

import pytest

from model_release import commands
from model_release.errors import UsageError
from model_release.operations.rollback_model import check_reason


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("answers wrong since Monday", "answers wrong since Monday"),
        (" wrong\n answers ", "wrong answers"),
        ("scores < 0 for <unk>", "scores < 0 for <unk>"),
        ("x" * 500, "x" * 500),
    ],
)
def test_words_are_kept(given: str, kept: str) -> None:
    assert check_reason(given) == kept


@pytest.mark.parametrize("given", ["", "  ", "...", "x" * 501, "<reason>", " <what is wrong> "])
def test_what_says_nothing_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match=r"expected words that the ledger can keep.*--reason"):
        check_reason(given)


def test_a_suggested_rollback_waits_for_a_reason() -> None:
    """It is pasted at night, and what nobody wrote must not stand in the ledger as the reason."""
    words = shlex.split(commands.rollback("iris"))
    with pytest.raises(UsageError, match=r"found <reason>"):
        check_reason(words[words.index("--reason") + 1])
