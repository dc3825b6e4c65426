"""Errors: one printable line, one exit code."""

import errno

import pytest

from model_release.errors import (
    OutsideError,
    RefusedError,
    ReleaseError,
    UsageError,
    disk_full,
    plain,
)


def test_says_what_expected_found_and_next_step_in_one_line() -> None:
    error = ReleaseError("port 80", expected="free", found="taken", next_step="choose another")
    assert str(error) == "port 80; expected free; found taken; next: choose another"


def test_leaves_out_what_is_not_known() -> None:
    assert str(ReleaseError("disk full", next_step="")) == "disk full"


@pytest.mark.parametrize(
    ("kind", "code"), [(RefusedError, 1), (UsageError, 2), (OutsideError, 3), (ReleaseError, 3)]
)
def test_exit_codes(kind: type[ReleaseError], code: int) -> None:
    assert kind("x", next_step="").exit_code == code


def test_text_of_others_cannot_control_a_terminal() -> None:
    assert plain("a\x1b[31mred\x07\nnext\u202eline") == "a [31mred  next line"
    assert "\x1b" not in str(ReleaseError("x", found="\x1b]0;title\x07", next_step=""))


@pytest.mark.parametrize(
    "text",
    [
        str(OSError(errno.ENOSPC, "No space left on device", "/data/x")),
        "(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT …]",
        "failures occurred while downloading:\n##### File x #####\nNo space left on device: 'x'",
        "Disk quota exceeded",
    ],
)
def test_a_full_disk_is_found_in_others_errors(text: str) -> None:
    error = disk_full(text)
    assert error is not None
    assert str(error).startswith("disk full; found ")
    assert str(error).endswith("; next: free space and run the same command again")


def test_no_full_disk_is_made_up() -> None:
    assert disk_full("Connection refused") is None
