"""Manifests on a real cluster: admitted, unprivileged, closed, scaled, disrupted with care."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from model_release.targets.kubernetes.kubectl import Kubectl
from model_release.targets.kubernetes.manifests import Workload, namespace
from tests.e2e.probe_in_staging import APPLY, ENVIRONMENTS, ProbeInStaging, kubectl, refusal, render
from tests.waiting import until

SCALE_SECONDS = 180.0


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_api_server_admits_every_shape_without_a_warning(
    k8s: Path, workload: Workload, tmp_path: Path, environment: str
) -> None:
    by_hand = kubectl("kustomize", str(k8s / environment))
    generated = [render(tmp_path, k8s, environment, workload, canary) for canary in (0, 1)]
    for text in (by_hand, *generated):
        done = subprocess.run(
            ["kubectl", *APPLY, "--dry-run=server"],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("serverside-applied (server dry run)") == text.count("\nkind: ")


def test_pod_security_refuses_what_is_not_restricted(k8s: Path, kubeconfig: Path) -> None:
    """So that the pods of the other tests, which run, are known to be restricted."""
    for environment in ENVIRONMENTS:
        where = f"--namespace={namespace(k8s, environment)}"
        said = refusal("run", "any", "--image=any", "--dry-run=server", where, config=kubeconfig)
        assert 'violates PodSecurity "restricted:latest"' in said


INSIDE = """
import json, os, pathlib
def writes(folder):
    try:
        pathlib.Path(folder, "probe").write_text("")
    except OSError:
        return False
    return True
lines = pathlib.Path("/proc/1/status").read_text().splitlines()
status = dict(line.split(":\\t") for line in lines if ":\\t" in line)
folders = ("/", "/tmp", "/usr", "/var/tmp", os.getcwd())
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "capabilities": int(status["CapBnd"], 16),
    "seccomp": status["Seccomp"], "no_new_privileges": status["NoNewPrivs"],
    "writes": [folder for folder in folders if writes(folder)],
    "token": os.path.exists("/var/run/secrets"),
    "services": [name for name in os.environ if name.startswith("PROBE_MODEL")],
}))
"""


def test_server_has_no_rights_inside_its_pod(probe: ProbeInStaging) -> None:
    (pod,) = probe.pods()
    where = f"--namespace={probe.namespace}"
    found = kubectl("exec", pod["metadata"]["name"], where, "--", "python3", "-c", INSIDE)
    assert json.loads(found) == {
        "uid": 10001,
        "gid": 10001,
        "capabilities": 0,
        "seccomp": "2",  # a filter
        "no_new_privileges": "1",
        "writes": ["/tmp"],
        "token": False,
        "services": [],
    }


def open_ports(policies: list[Any], pod: Any, direction: str) -> set[int] | None:
    """Ports of a pod that anybody may reach ("Ingress"), or reach ("Egress"); None means all.

    Evaluated as the API defines it: a pod that no policy of that direction selects is open; one
    that some select has open what any of them opens. A rule for some peers only opens nothing here.
    """
    ours = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"] and _selected(policy["spec"], pod)
    ]
    if not ours:
        return None
    rules = [rule for spec in ours for rule in spec.get(direction.lower(), [])]
    peers = "from" if direction == "Ingress" else "to"
    free = [rule for rule in rules if not rule.get(peers)]
    if any(not rule.get("ports") for rule in free):
        return None
    return {_number(port, pod) for rule in free for port in rule["ports"]}


def _selected(spec: Any, pod: Any) -> bool:
    selector = spec["podSelector"]
    assert set(selector) <= {"matchLabels"}
    return bool(selector.get("matchLabels", {}).items() <= pod["metadata"]["labels"].items())


def _number(port: Any, pod: Any) -> int:
    """A rule's port as a number; a name is that of a port of one of the pod's containers."""
    assert port["protocol"] == "TCP"
    assert "endPort" not in port
    named = [each for box in pod["spec"]["containers"] for each in box.get("ports", [])]
    numbers = {each.get("name"): each["containerPort"] for each in named}
    return int(numbers.get(port["port"], port["port"]))


def test_network_policies_let_in_requests_and_let_out_nothing(probe: ProbeInStaging) -> None:
    policies = probe.get("networkpolicies")
    (pod,) = probe.pods()
    assert open_ports(policies, pod, "Ingress") == {8080}
    assert open_ports(policies, pod, "Egress") == set()
    other = {"metadata": {"labels": {"app": "any"}}, "spec": {"containers": []}}
    assert open_ports(policies, other, "Ingress") == set()
    assert open_ports(policies, other, "Egress") == set()
    assert open_ports([], pod, "Ingress") is None


@pytest.fixture
def canary(probe: ProbeInStaging, tmp_path: Path) -> Iterator[Any]:
    """A canary's pod beside the stable one, applied and deleted by the deployer."""
    manifest = render(tmp_path, probe.folder, "staging", probe.workload, 1)
    probe.run(*APPLY, text=manifest)
    probe.rolled_over(f"{probe.name}-canary")
    (pod,) = probe.pods("canary")
    yield pod
    probe.run("delete", "deployment", f"{probe.name}-canary")
    until(lambda: not probe.pods("canary"), seconds=120)


def behind_the_service(probe: ProbeInStaging) -> set[str]:
    """The pods to which the Service sends requests."""
    slices = probe.get("endpointslices", f"--selector=kubernetes.io/service-name={probe.name}")
    return {
        endpoint["targetRef"]["name"]
        for each in slices
        for endpoint in each["endpoints"]
        if endpoint["conditions"]["ready"]
    }


def test_canary_answers_behind_the_service_and_is_not_counted_as_stable(
    probe: ProbeInStaging, canary: Any
) -> None:
    (stable,) = probe.pods()
    wanted = {stable["metadata"]["name"], canary["metadata"]["name"]}
    # The controllers of Kubernetes count the canary some time after its rollout.
    until(lambda: behind_the_service(probe) == wanted, seconds=120)
    policies = probe.get("networkpolicies")
    assert open_ports(policies, canary, "Ingress") == {8080}
    assert open_ports(policies, canary, "Egress") == set()
    path = f"/api/v1/namespaces/{probe.namespace}/pods/{canary['metadata']['name']}:8080/proxy"
    assert "serving_model_info{" in probe.run("get", "--raw", f"{path}/metrics")
    assert probe.get("deployment", probe.name)["status"]["replicas"] == 1


@pytest.fixture(scope="module")
def scaled(probe: ProbeInStaging) -> ProbeInStaging:
    """The model under load, until the autoscaler has added a pod."""
    body = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0]]}}
    deadline = time.monotonic() + SCALE_SECONDS

    def load(url: str) -> None:
        with requests.Session() as session:
            while len(probe.pods()) < 2 and time.monotonic() < deadline:
                for _ in range(100):
                    answer = session.post(f"{url}/invocations", json=body, timeout=30)
                    assert answer.json() == {"predictions": [5.0]}

    with (
        Kubectl(probe.namespace, "staging").proxy(probe.name) as base,
        ThreadPoolExecutor() as pool,
    ):
        list(pool.map(load, [f"{base}/services/{probe.name}:http/proxy"] * 4))
    probe.rolled_over(probe.name)
    return probe


def test_autoscaler_adds_a_pod_and_a_deploy_leaves_it(scaled: ProbeInStaging) -> None:
    assert len(scaled.pods()) == 2
    conditions = {
        each["type"]: each["status"]
        for each in scaled.get("hpa", scaled.name)["status"]["conditions"]
    }
    assert conditions["ScalingActive"] == "True"
    scaled.run(*APPLY, text=scaled.manifest)
    assert scaled.get("deployment", scaled.name)["spec"]["replicas"] == 2


def test_disruption_budget_gives_up_one_pod_at_a_time(scaled: ProbeInStaging) -> None:
    allowed = "--for=jsonpath={.status.disruptionsAllowed}=1"  # counted some time after the rollout
    where = f"--namespace={scaled.namespace}"
    kubectl("wait", f"pdb/{scaled.name}", where, allowed, "--timeout=120s")
    answers = [evict(scaled, pod["metadata"]["name"]) for pod in scaled.pods()]
    assert answers[0] == ""
    assert "Cannot evict pod as it would violate the pod's disruption budget" in answers[1]


def evict(probe: ProbeInStaging, pod: str) -> str:
    """Ask for a pod's eviction as a node drain does; what the API server says against it."""
    about = {"name": pod, "namespace": probe.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
    path = f"/api/v1/namespaces/{probe.namespace}/pods/{pod}/eviction"
    done = subprocess.run(
        ["kubectl", "create", "--raw", path, "-f", "-"],
        input=json.dumps(eviction),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr
