"""How outcomes and numbers look."""

import pytest

from model_release.report.signs import SIGNS, number, sign_of


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0"), (0.123456, "0.1235"), (-2.0, "-2"), (float("nan"), "nan")],
)
def test_a_number_has_four_digits_and_its_absence_a_dash(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_a_number_may_have_more_digits_and_a_sign() -> None:
    assert number(1234567.0, 9) == "1234567"
    assert [number(value, sign="+") for value in (0.5, -0.5)] == ["+0.5", "-0.5"]


def test_no_two_outcomes_that_let_through_and_stop_look_alike() -> None:
    assert sign_of("passed") == SIGNS["passed"]
    assert sign_of("of nobody") == SIGNS["not reached"]
    for stopped in ("failed", "refused", "error"):
        assert sign_of(stopped).text != sign_of("passed").text
        assert sign_of(stopped).colour != sign_of("passed").colour
