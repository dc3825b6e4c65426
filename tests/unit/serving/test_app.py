"""The app: what it sets for the whole process."""

import sys
import warnings

import pytest

from serving.app import _silence_warnings


@pytest.mark.parametrize(
    ("options", "shown"), [([], []), (["default"], ["clients' words"])], ids=["unset", "set"]
)
def test_warnings_are_silent_unless_somebody_asked_for_them(
    monkeypatch: pytest.MonkeyPatch, options: list[str], shown: list[str]
) -> None:
    monkeypatch.setattr(sys, "warnoptions", options)
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always")
        _silence_warnings()
        warnings.warn("clients' words", stacklevel=1)
    assert [str(each.message) for each in recorded] == shown
