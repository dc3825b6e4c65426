"""The deployer's role on a real cluster: it suffices for a deploy, and allows nothing else."""

import json
import subprocess
from pathlib import Path

import pytest

from model_release.targets.kubernetes.manifests import namespace
from tests.e2e.probe_in_staging import ProbeInStaging, kubectl, refusal


@pytest.mark.parametrize(
    "command",
    [
        "get deployment,service,hpa,pdb,ingress {name} --ignore-not-found",
        "get pods,events",
        "logs deployment/{name} --tail=5",
        "get --raw /api/v1/namespaces/{namespace}/services/{name}:http/proxy/model",
        "scale deployment {name} --replicas=1",
        "create configmap {name}-release --from-literal=a=b",
        "get configmap {name}-release",
        "delete configmap {name}-release",
    ],
)
def test_role_suffices_for_a_deploy(probe: ProbeInStaging, command: str) -> None:
    told = command.format(name=probe.name, namespace=probe.namespace)
    probe.run(*told.split())


def test_role_suffices_for_the_diff_and_the_lease(probe: ProbeInStaging) -> None:
    """No difference is exit code 0 of kubectl diff, and an error is not."""
    probe.run("diff", "--server-side", "--field-manager=test", "-f", "-", text=probe.manifest)
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "any"}}
    probe.run("create", "-f", "-", text=json.dumps(lease))
    held = json.loads(probe.run("get", "lease", "any", "--output=json"))
    held["spec"]["holderIdentity"] = "me"
    probe.run("replace", "-f", "-", text=json.dumps(held))
    kubectl("delete", "lease", "any", f"--namespace={probe.namespace}")


FORBIDDEN = [
    *(("get", each) for each in ("secrets", "serviceaccounts", "nodes", "namespaces")),
    *(("list", each) for each in ("secrets", "configmaps", "persistentvolumeclaims")),
    *(("create", each) for each in ("secrets", "serviceaccounts/token", "pods", "namespaces")),
    *(("create", each) for each in ("pods/exec", "pods/attach", "pods/portforward", "jobs")),
    *(("create", each) for each in ("roles.rbac.authorization.k8s.io", "daemonsets", "cronjobs")),
    *(("patch", f"{each}.rbac.authorization.k8s.io") for each in ("roles", "rolebindings")),
    *(("patch", each) for each in ("networkpolicies", "resourcequotas", "serviceaccounts")),
    *(("delete", each) for each in ("networkpolicies", "pods", "namespaces")),
    ("impersonate", "users"),
]


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN)
def test_role_allows_nothing_else(probe: ProbeInStaging, verb: str, resource: str) -> None:
    assert refused(probe.config, verb, resource, probe.namespace)


def refused(config: Path, verb: str, resource: str, where: str) -> bool:
    """Whether `kubectl auth can-i` says no, by its answer and by its exit code."""
    done = subprocess.run(
        ["kubectl", f"--kubeconfig={config}", "auth", "can-i", verb, resource, "-n", where],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() in ("yes", "no")
    return (done.stdout.strip(), done.returncode) == ("no", 1)


def test_role_ends_at_its_namespace(probe: ProbeInStaging, k8s: Path) -> None:
    elsewhere = [namespace(k8s, "production"), "default", "kube-system"]
    allowed = [("get", "deployments"), ("patch", "deployments"), ("get", "pods")]
    for verb, resource in allowed:
        assert not refused(probe.config, verb, resource, probe.namespace)
        for where in elsewhere:
            assert refused(probe.config, verb, resource, where)


def test_api_server_refuses_a_deployer_secrets_and_other_namespaces(
    probe: ProbeInStaging, k8s: Path
) -> None:
    production = f"--namespace={namespace(k8s, 'production')}"
    for arguments in (("secrets",), ("secret", "any"), ("deployments", production)):
        assert "Forbidden" in refusal("get", *arguments, config=probe.config)
    assert "Forbidden" in refusal("get", "pods", "--all-namespaces", config=probe.config)
