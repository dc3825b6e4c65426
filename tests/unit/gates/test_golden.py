"""Golden predictions: at least one, each with its answer."""

import pytest

from model_release.gates.evidence import Golden
from model_release.gates.golden import Limits, judge

CASE = {"name": "input example", "request": {"inputs": [[1]]}, "predictions": [0]}


def test_passes_and_names_the_cases() -> None:
    outcome = judge(Golden((CASE, {**CASE, "name": "holdout"})), Limits())
    assert (outcome.status, outcome.found) == ("passed", "2 kept: input example, holdout")
    assert outcome.facts == (("golden_cases", 2),)


@pytest.mark.parametrize(
    ("golden", "found"),
    [
        (Golden(()), "no request to ask"),
        (Golden((CASE,), problem="answers HTML"), "answers HTML"),
        (Golden((CASE, {**CASE, "predictions": []})), "no answer to input example"),
        (Golden(({**CASE, "predictions": None},)), "no answer to input example"),
        (Golden(({"name": "x", "predictions": [0]},)), "no answer to x"),
        (Golden(({"request": {}},)), "no answer to unnamed"),
    ],
)
def test_fails_when_there_is_nothing_to_repeat(golden: Golden, found: str) -> None:
    outcome = judge(golden, Limits())
    assert (outcome.status, outcome.found) == ("failed", found)
