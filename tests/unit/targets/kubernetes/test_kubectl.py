"""Errors of kubectl, as they are told."""

import pytest

from model_release.targets.kubernetes.kubectl import MEND, Kubectl, KubectlError
from tests.unit.targets.kubernetes.conftest import Says

FORBIDDEN = (
    'Error from server (Forbidden): leases "a" is forbidden: User "me" cannot get resource "leases"'
)


def test_what_kubectl_logs_is_no_message_and_its_message_is_told_once(kubectl_says: Says) -> None:
    logged = "E0930 12:00:00.000000 7 memcache.go:265] couldn't get current server API group list"
    kubectl_says(err="\n".join([logged, FORBIDDEN, FORBIDDEN]), code=1)
    with pytest.raises(KubectlError) as caught:
        Kubectl("models", environment="staging", retry_seconds=0).run("get", "lease", "a")
    assert caught.value.found == FORBIDDEN
    assert caught.value.reason == "Forbidden"
    command = "kubectl apply -k k8s/staging -l 'app.kubernetes.io/component!=model-server'"
    assert caught.value.next_step == f"let a cluster administrator run `{command}`"


def test_every_mend_can_be_told() -> None:
    for _, _, mend in MEND:
        assert "{" not in mend.format(environment="staging")


def test_a_diff_that_failed_is_no_difference(kubectl_says: Says) -> None:
    kubectl = Kubectl("models", environment="staging", retry_seconds=0)
    kubectl_says("-a\n+b\n", code=1)
    assert kubectl.diff("{}") == "-a\n+b\n"
    kubectl_says(err=FORBIDDEN, code=1)
    with pytest.raises(KubectlError, match="Forbidden"):
        kubectl.diff("{}")
