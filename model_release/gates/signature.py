"""Signature: clients know what to send, and what worked with the champion still works."""

from collections.abc import Iterator

from pydantic import Field

from model_release.gates.evidence import Column, Signature, Signatures
from model_release.gates.outcome import GateLimits, Outcome, failed, passed

EVIDENCE = Signatures


class Limits(GateLimits):
    """A signature and an input example; no new required input and no changed type or output."""

    breaking_versions: tuple[int, ...] = Field(
        (), description="Model versions that may break clients of the champion, on purpose."
    )


def _by_name(columns: tuple[Column, ...] | None) -> dict[str, Column]:
    return {column.name: column for column in columns or ()}


def _breaks(challenger: Signature, champion: Signature) -> Iterator[str]:
    """What a client of the champion would stumble over, one phrase each."""
    before = _by_name(champion.inputs)
    # A champion without inputs in its signature says nothing that could be broken.
    for name, column in _by_name(challenger.inputs).items() if champion.inputs is not None else ():
        known = before.get(name)
        if column.required and (known is None or not known.required):
            yield f"input {name!r} is newly required"
        elif known is not None and known.type != column.type:
            yield f"input {name!r} is {column.type}, was {known.type}"
    params = _by_name(champion.params)
    for name, param in _by_name(challenger.params).items():
        if name in params and params[name].type != param.type:
            yield f"param {name!r} is {param.type}, was {params[name].type}"
    if champion.outputs is not None:
        yield from _changed_outputs(challenger, champion)


def _changed_outputs(challenger: Signature, champion: Signature) -> Iterator[str]:
    now, before = (
        [(column.name, column.type) for column in signature.outputs or ()]
        for signature in (challenger, champion)
    )
    if now != before:
        yield f"output is {_shown(now)}, was {_shown(before)}"


def _shown(columns: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}".strip() for name, kind in columns) or "not described"


def judge(evidence: Signatures, limits: Limits) -> Outcome:
    """Pass when the challenger says what it takes and breaks no client of the champion."""
    challenger, champion = evidence.challenger, evidence.champion
    required = "signature and input example"
    if champion is not None:
        required += f", compatible with version {champion.version}"
    if challenger.inputs is None or not challenger.has_input_example:
        lacking = "no signature" if challenger.inputs is None else "no input example"
        return failed(required, lacking, "log the model with signature= and input_example=")
    found = f"{len(challenger.inputs)} inputs, {len(challenger.outputs or ())} outputs"
    breaks = [] if champion is None else list(_breaks(challenger, champion))
    if not breaks:
        return passed(required, found)
    if challenger.version in {str(version) for version in limits.breaking_versions}:
        return passed(required, f"declared breaking: {'; '.join(breaks)}")
    return failed(
        required,
        "; ".join(breaks),
        "keep the champion's columns and types (new ones optional), or allow the change with "
        f"gates.signature.breaking_versions: [{challenger.version}]",
    )
