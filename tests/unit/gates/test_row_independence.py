"""Row independence: decides about batching, and fails only where it is required."""

import math

import pytest

from model_release.gates.evidence import Rows
from model_release.gates.row_independence import Limits, judge


def test_equal_rows_may_be_batched() -> None:
    outcome = judge(Rows((0.0, 0.0, 0.0)), Limits(required=True))
    assert (outcome.status, outcome.found) == ("passed", "equal in 3 rows")
    assert outcome.facts == (("independent", 1.0),)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (Rows((0.0, 0.25, 0.5)), "2 of 3 rows differ, by 0.5 at most"),
        (Rows((0.0, math.inf)), "1 of 2 rows differ, by inf at most"),
        (Rows((0.0, math.nan)), "1 of 2 rows differ, by nan at most"),
        (Rows((0.0,)), "1 rows, too few to tell"),
        (Rows(()), "0 rows, too few to tell"),
        (Rows((0.0, 0.0), problem="died at row 2"), "died at row 2"),
    ],
)
def test_anything_else_is_not_batched_and_fails_only_if_required(rows: Rows, found: str) -> None:
    lenient, strict = judge(rows, Limits()), judge(rows, Limits(required=True))
    assert (lenient.status, lenient.facts) == ("passed", (("independent", 0.0),))
    assert lenient.found == f"{found}: requests will not be batched"
    assert (strict.status, strict.facts) == ("failed", (("independent", 0.0),))
    assert strict.found == found
    assert strict.required == "answers alone equal answers in a batch"
    assert lenient.required == f"{strict.required}, else requests are not batched"
