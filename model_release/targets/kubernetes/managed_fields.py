"""Fields of an object that somebody added by hand: found, and taken over.

Server-side apply leaves alone what another field manager owns. A variable or a container that was
added by hand would outlive every release, and no diff with the release's manifests would show it.
What the deploys' own manager owns and no longer applies, the API server removes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Fields = Mapping[str, Any]
"""Kubernetes' FieldsV1: "f:name" is a field, 'k:{"name":"server"}' an item, "." it itself."""

LEFT_ALONE = ("f:replicas", "f:kubectl.kubernetes.io/restartedAt")
"""The autoscaler's, and what `kubectl rollout restart` writes."""


def added(item: Any, manager: str) -> list[str]:
    """Fields of an object's spec that others than `manager` own, each with its owner, in words."""
    return [
        f"{path}, set by {entry['manager']}"
        for entry in _foreign(item, manager)
        for path in _paths(_spec(entry), "spec")
    ]


def taken_over(item: Any, manager: str) -> list[Any]:
    """The object's `managedFields`, where `manager` owns all that `added` finds."""
    foreign = _foreign(item, manager)
    entries = [entry for entry in item["metadata"]["managedFields"] if entry not in foreign]
    applied = {"manager": manager, "operation": "Apply"}
    ours = next((each for each in entries if applied.items() <= each.items()), None)
    others = [entry for entry in entries if entry is not ours]
    ours = ours or {**foreign[0], **applied, "fieldsV1": {}}
    for entry in foreign:
        spec = {"f:spec": _spec(entry)}
        ours = {**ours, "fieldsV1": _union(ours["fieldsV1"], spec)}
        if rest := _without(entry["fieldsV1"], spec):
            others.append({**entry, "fieldsV1": rest})
    return [ours, *others]


def _foreign(item: Any, manager: str) -> list[Any]:
    """The entries of others that own something of the spec; a subresource has rules of its own."""
    return [
        entry
        for entry in item["metadata"].get("managedFields", ())
        if entry["manager"] != manager and not entry.get("subresource") and _spec(entry)
    ]


def _spec(entry: Any) -> dict[str, Any]:
    return _pruned(entry.get("fieldsV1", {}).get("f:spec", {}))


def _pruned(fields: Fields) -> dict[str, Any]:
    """These fields without those that are left alone, and without what then holds nothing."""
    found = {}
    for key, below in fields.items():
        kept = _pruned(below)
        if key not in LEFT_ALONE and (kept or not below):
            found[key] = kept
    return {} if set(found) <= {"."} and len(fields) > 1 else found


def _paths(fields: Fields, path: str) -> Iterator[str]:
    """The fields in words, such as spec.containers[name=server].env[name=A]: an item as a whole."""
    if not fields or "." in fields:
        yield path
        return
    for key, below in fields.items():
        kind, _, name = key.partition(":")
        if kind == "k":
            name = name.strip("{}").replace('"', "").replace(":", "=")
        yield from _paths(below, f"{path}.{name}" if kind == "f" else f"{path}[{name}]")


def _union(one: Fields, other: Fields) -> dict[str, Any]:
    return {key: _union(one.get(key, {}), other.get(key, {})) for key in {**one, **other}}


def _without(one: Fields, other: Fields) -> dict[str, Any]:
    """The leaves of one that the other has not."""
    found = {}
    for key, below in one.items():
        rest = _without(below, other.get(key, {}))
        if rest or (not below and key not in other):
            found[key] = rest
    return found
