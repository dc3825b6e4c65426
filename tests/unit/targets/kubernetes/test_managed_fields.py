"""Whose fields are whose: what was added by hand, and what a deploy takes over of it."""

from typing import Any

import pytest

from model_release.targets.kubernetes.managed_fields import added, taken_over

OURS = "model-release"
SERVER = 'k:{"name":"server"}'
APPLIED = {
    "f:spec": {"f:template": {"f:spec": {"f:containers": {SERVER: {".": {}, "f:image": {}}}}}}
}
VARIABLE = {'k:{"name":"ADDED"}': {".": {}, "f:name": {}, "f:value": {}}}


def entry(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "fieldsV1": fields} | more


def item(*entries: dict[str, Any]) -> dict[str, Any]:
    ours = entry(OURS, APPLIED, operation="Apply")
    return {"metadata": {"managedFields": [ours, *entries]}}


def spec(fields: dict[str, Any]) -> dict[str, Any]:
    return {"f:spec": {"f:template": {"f:spec": fields}}}


EDITED = entry(
    "kubectl-edit",
    spec({"f:containers": {SERVER: {"f:env": VARIABLE}}})
    | {"f:metadata": {"f:annotations": {"f:note": {}}}},
)
RESTARTED = {"f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}}}}


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([], []),
        (
            [EDITED],
            ["spec.template.spec.containers[name=server].env[name=ADDED], set by kubectl-edit"],
        ),
        (
            [
                entry(
                    "helm", spec({"f:containers": {'k:{"name":"proxy"}': {".": {}, "f:image": {}}}})
                )
            ],
            ["spec.template.spec.containers[name=proxy], set by helm"],
        ),
        ([entry("kubectl", {"f:spec": {"f:paused": {}}})], ["spec.paused, set by kubectl"]),
        ([entry("kubectl", {"f:spec": {"f:replicas": {}}})], []),
        ([entry("kubectl", {"f:spec": {"f:replicas": {}}}, subresource="scale")], []),
        ([entry("kubectl-rollout", {"f:spec": {"f:template": RESTARTED}})], []),
        ([entry("kube-controller-manager", {"f:metadata": {"f:annotations": {"f:a": {}}}})], []),
    ],
)
def test_what_others_have_added(entries: list[dict[str, Any]], found: list[str]) -> None:
    assert added(item(*entries), OURS) == found


def test_what_is_taken_over_is_the_spec_and_no_more() -> None:
    scaled = entry("kubectl", {"f:spec": {"f:replicas": {}, "f:paused": {}}})
    ours, edited, kubectl = taken_over(item(EDITED, scaled), OURS)
    server = {".": {}, "f:image": {}, "f:env": VARIABLE}
    wanted = spec({"f:containers": {SERVER: server}})["f:spec"] | {"f:paused": {}}
    assert ours == entry(OURS, {"f:spec": wanted}, operation="Apply")
    assert edited == entry("kubectl-edit", {"f:metadata": {"f:annotations": {"f:note": {}}}})
    assert kubectl == entry("kubectl", {"f:spec": {"f:replicas": {}}})
    assert added({"metadata": {"managedFields": [ours, edited, kubectl]}}, OURS) == []


def test_what_was_never_applied_by_us_is_taken_over_as_well() -> None:
    applied = entry("kubectl", APPLIED, operation="Apply", apiVersion="apps/v1")
    taken = taken_over({"metadata": {"managedFields": [applied]}}, OURS)
    assert taken == [{**applied, "manager": OURS}]
