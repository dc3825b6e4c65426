"""Errors: one printable line, one exit code."""

import pytest

from model_release.errors import OutsideError, RefusedError, ReleaseError, UsageError, plain


def test_says_what_expected_found_and_next_step_in_one_line() -> None:
    error = ReleaseError("port 80", expected="free", found="taken", next_step="choose another")
    assert str(error) == "port 80; expected free; found taken; next: choose another"


def test_leaves_out_what_is_not_known() -> None:
    assert str(ReleaseError("disk full")) == "disk full"


@pytest.mark.parametrize(
    ("kind", "code"), [(RefusedError, 1), (UsageError, 2), (OutsideError, 3), (ReleaseError, 3)]
)
def test_exit_codes(kind: type[ReleaseError], code: int) -> None:
    assert kind("x").exit_code == code


def test_text_of_others_cannot_control_a_terminal() -> None:
    assert plain("a\x1b[31mred\x07\nnext\u202eline") == "a [31mred  next line"
    assert "\x1b" not in str(ReleaseError("x", found="\x1b]0;title\x07"))
