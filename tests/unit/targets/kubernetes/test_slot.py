"""The record of what was last good, as a cluster may hold it."""

import json

import pytest

from model_release import ROOT
from model_release.errors import OutsideError
from model_release.identity import Identity
from model_release.targets.kubernetes.kubectl import Kubectl
from model_release.targets.kubernetes.slot import Good, Slot
from tests.unit.targets.kubernetes.conftest import Says

IDENTITY = Identity("iris", "3", "sha256:0", "r")
SLOT = Slot(Kubectl("models", "production", retry_seconds=0), ROOT / "k8s", "production", "iris")


def record(**data: object) -> str:
    return json.dumps({"kind": "ConfigMap", "data": data})


def test_what_was_last_good_is_read(kubectl_says: Says) -> None:
    kubectl_says("")
    assert SLOT.good() is None
    kubectl_says(record(manifest="kind: Service", identity=json.dumps(IDENTITY.fields())))
    assert SLOT.good() == Good("kind: Service", IDENTITY)


@pytest.mark.parametrize(
    "found",
    [
        record(identity=json.dumps(IDENTITY.fields())),
        record(manifest="kind: Service"),
        record(manifest="kind: Service", identity="{}"),
        record(manifest="kind: Service", identity="[]"),
        record(manifest="kind: Service", identity="by hand"),
        json.dumps({"kind": "ConfigMap"}),
    ],
)
def test_a_record_that_was_changed_is_an_error_with_its_next_step(
    kubectl_says: Says, found: str
) -> None:
    kubectl_says(found)
    with pytest.raises(OutsideError, match="configmap iris-release in namespace models") as caught:
        SLOT.good()
    assert "kubectl delete configmap iris-release --namespace models" in caught.value.next_step
