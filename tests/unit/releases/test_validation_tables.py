"""Gates, and champion against challenger, as tables."""

from model_release.gates.outcome import Outcome
from model_release.releases.validation_tables import champion_table, compared, gate_table
from model_release.report import Interval, Table

FACTS = {
    "champion_accuracy": 0.96,
    "regression_accuracy": -0.002,
    "regression_low_accuracy": -0.006,
    "regression_bound_accuracy": 0.004,
}
METRICS = {"accuracy": {"champion": 0.96, "challenger": 0.96234}, "f1": {"challenger": 0.9}}


def test_champion_and_challenger_with_what_was_found_and_allowed() -> None:
    found = compared(METRICS, FACTS, {"accuracy": 0.01})
    titles = {"champion": "champion", "challenger": "version 2", "interval": "worse by"}
    assert champion_table(found, titles | {"at_most": "at most", "allowed": "allowed"}) == Table(
        "Champion and challenger",
        ("metric", "champion", "version 2", "worse by", "at most", "allowed"),
        [
            ("accuracy", "0.96", "0.9623", "-0.006 … +0.004", "0.004", "0.01"),
            ("f1", "–", "0.9", "–", "–", "–"),
        ],
    )
    assert [each.interval for each in found] == [
        Interval("accuracy", -0.006, -0.002, 0.004, 0.01),
        None,
    ]


def test_what_the_gate_measured_stands_in_for_the_champion() -> None:
    (found,) = compared({"accuracy": {"challenger": 0.9}}, FACTS, {})
    assert (found.champion, found.interval) == (0.96, None)


def test_gates_with_and_without_their_times() -> None:
    gate = Outcome("passed", "r", "f", gate="golden", seconds=0.26)
    columns = ("gate", "outcome", "required", "found")
    assert gate_table([gate]) == Table("Gates", columns, [("golden", "passed", "r", "f")])
    assert gate_table([gate], times=True) == Table(
        "Gates", (*columns, "s"), [("golden", "passed", "r", "f", "0.3")]
    )
