"""The table of what serves what."""

from datetime import timedelta

import pytest

from model_release.operations.release_status import age


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (200_000, "2d"),
    ],
)
def test_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert age(timedelta(seconds=seconds)) == text
