"""Signature: present, and no client of the champion is broken unless that is declared."""

import dataclasses

import pytest

from model_release.gates.evidence import Column, Signature, Signatures
from model_release.gates.signature import Limits, judge

CHAMPION = Signature(
    "4",
    inputs=(Column("age", "long"), Column("city", "string", required=False)),
    outputs=(Column("", "double"),),
    params=(Column("threshold", "double", required=False),),
    has_input_example=True,
)
SAME = dataclasses.replace(CHAMPION, version="5")


def test_passes_alone_and_beside_a_champion_of_the_same_interface() -> None:
    alone = judge(Signatures(SAME, None), Limits())
    beside = judge(Signatures(SAME, CHAMPION), Limits())
    assert (alone.status, beside.status) == ("passed", "passed")
    assert beside.required == "signature and input example, compatible with version 4"
    assert beside.found == "2 inputs, 1 outputs"


@pytest.mark.parametrize(
    ("change", "found"),
    [({"inputs": None}, "no signature"), ({"has_input_example": False}, "no input example")],
)
def test_needs_a_signature_and_an_example(change: dict[str, object], found: str) -> None:
    lacking = dataclasses.replace(SAME, **change)  # type: ignore[arg-type]
    outcome = judge(Signatures(lacking, None), Limits(breaking_versions=(5,)))
    assert (outcome.status, outcome.found) == ("failed", found)


BREAKING = [
    ({"inputs": (*SAME.inputs, Column("zip", "string"))}, "input 'zip' is newly required"),
    (
        {"inputs": (Column("age", "long"), Column("city", "string"))},
        "input 'city' is newly required",
    ),
    ({"inputs": (Column("age", "double"),)}, "input 'age' is double, was long"),
    ({"outputs": (Column("", "long"),)}, "output is long, was double"),
    ({"outputs": (Column("p", "double"),)}, "output is p double, was double"),
    ({"outputs": None}, "output is not described, was double"),
    ({"params": (Column("threshold", "long", False),)}, "param 'threshold' is long, was double"),
]


@pytest.mark.parametrize(("change", "found"), BREAKING)
def test_what_breaks_a_client_fails_unless_declared(change: dict[str, object], found: str) -> None:
    breaking = Signatures(dataclasses.replace(SAME, **change), CHAMPION)  # type: ignore[arg-type]
    outcome = judge(breaking, Limits(breaking_versions=(4, 55)))
    assert (outcome.status, outcome.found) == ("failed", found)
    assert "breaking_versions: [5]" in outcome.next_step
    declared = judge(breaking, Limits(breaking_versions=(5,)))
    assert (declared.status, declared.found) == ("passed", f"declared breaking: {found}")


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": (*SAME.inputs, Column("zip", "string", required=False))},
        {"inputs": (Column("age", "long", required=False),)},
        {"params": (*SAME.params, Column("top", "long", required=False))},
        {"params": ()},
    ],
)
def test_what_breaks_no_client_passes(change: dict[str, object]) -> None:
    evidence = Signatures(dataclasses.replace(SAME, **change), CHAMPION)  # type: ignore[arg-type]
    assert judge(evidence, Limits()).status == "passed"


def test_a_champion_without_a_signature_promises_nothing() -> None:
    silent = Signature("1", inputs=None, outputs=None)
    assert judge(Signatures(SAME, silent), Limits()).status == "passed"
