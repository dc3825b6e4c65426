"""Scoring requests and their answers as JSON values: answers compared, other requests derived."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NO_COLUMN = "no such column"


@dataclass(frozen=True)
class Tolerances:
    """How far a number may be from the wanted one: |found - wanted| <= atol + rtol * |wanted|."""

    rtol: float = 1e-6
    atol: float = 1e-9


def first_difference(wanted: object, found: object, tolerances: Tolerances, at: str = "") -> str:
    """Say where two JSON values first differ; empty where they agree.

    Numbers agree within the tolerances, NaN with NaN, an infinity with itself. Everything else
    agrees when type and value are equal. `at` is the path to these values, such as `[3].label`.
    """
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return _first(
            first_difference(a, b, tolerances, f"{at}[{i}]")
            for i, (a, b) in enumerate(zip(wanted, found, strict=True))
        )
    if isinstance(wanted, dict) and isinstance(found, dict) and wanted.keys() == found.keys():
        return _first(
            first_difference(wanted[key], found[key], tolerances, f"{at}.{key}") for key in wanted
        )
    if _agree(wanted, found, tolerances):
        return ""
    return f"predictions{at}: {_short(found)} in place of {_short(wanted)}"


def without_columns(request: object) -> dict[str, object] | None:
    """Derive a request for one row with none of its columns; None where it names no columns."""
    if not isinstance(request, Mapping):
        return None
    if "dataframe_records" in request:
        return {**request, "dataframe_records": [{NO_COLUMN: 0}]}
    split = request.get("dataframe_split")
    if isinstance(split, Mapping) and split.get("columns"):
        return {**request, "dataframe_split": {"columns": [NO_COLUMN], "data": [[0]]}}
    return None


def single_row(request: object) -> object:
    """Derive the request for the first row alone; one that has no list of rows stays as it is."""
    if not isinstance(request, Mapping):
        return request
    for key in ("dataframe_records", "instances", "inputs"):
        if isinstance(request.get(key), list):
            return {**request, key: request[key][:1]}
    split = request.get("dataframe_split")
    if not isinstance(split, Mapping):
        return request
    rows = {key: split[key][:1] for key in ("index", "data") if isinstance(split.get(key), list)}
    return {**request, "dataframe_split": {**split, **rows}}


def _agree(wanted: object, found: object, tolerances: Tolerances) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if not isinstance(wanted, int | float) or not isinstance(found, int | float):
        return type(wanted) is type(found) and wanted == found
    if wanted == found or (wanted != wanted and found != found):
        return True
    try:
        if not (math.isfinite(wanted) and math.isfinite(found)):
            return False
        return abs(found - wanted) <= tolerances.atol + tolerances.rtol * abs(wanted)
    except OverflowError:  # JSON has integers beyond every float
        return False


def _first(differences: Iterable[str]) -> str:
    return next((difference for difference in differences if difference), "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
