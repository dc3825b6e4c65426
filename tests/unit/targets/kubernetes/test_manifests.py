"""Manifests: what kubectl makes of them, for models side by side, stable and canary."""

import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import kubernetes_validate
import promql_parser
import pytest
import yaml

from model_release import ROOT
from model_release.config.kubernetes_settings import Kubernetes
from model_release.errors import UsageError
from model_release.identity import PREFIX, Identity, slug
from model_release.targets.kubernetes.manifests import (
    Workload,
    identity,
    namespace,
    overlay,
)
from serving.context import ServedRelease
from serving.metrics import Metrics
from serving.settings import Settings

K8S = ROOT / "k8s"
IDENTITY = Identity("Probe Model/α", "3", f"sha256:{'1' * 64}", "a" * 32)
SLUG = slug(IDENTITY.model)
IMAGE = f"127.0.0.1:5000/probe@sha256:{'2' * 64}"
ENVIRONMENTS = ("staging", "production")
LATEST = int(kubernetes_validate.latest_version().split(".")[1])

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl on PATH")

Resource = dict[str, Any]


def render(folder: Path) -> dict[str, Resource]:
    """What kubectl makes of a folder, by `Kind/name`."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = list(yaml.safe_load_all(done.stdout))
    resources = {f"{each['kind']}/{each['metadata']['name']}": each for each in found}
    assert len(resources) == len(found)
    return resources


def rendered(
    folder: Path,
    environment: str,
    canary_replicas: int = 0,
    *,
    k8s: Path = K8S,
    image: str = IMAGE,
    **settings: Any,
) -> dict[str, Resource]:
    """The resources of the probe model."""
    workload = Workload(IDENTITY, image, Kubernetes.model_validate(settings))
    return render(overlay(folder, k8s, environment, workload, canary_replicas))


def pod_of(deployment: Resource) -> Resource:
    return cast(Resource, deployment["spec"]["template"]["spec"])


def selects(selector: Resource, deployment: Resource) -> bool:
    """Whether labels select a Deployment's pods."""
    return selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_overlay_holds_what_a_deployer_may_apply(tmp_path: Path, environment: str) -> None:
    found = rendered(tmp_path, environment)
    kinds = ["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"]
    assert sorted(found) == [f"{kind}/{SLUG}" for kind in kinds]
    assert {each["metadata"]["namespace"] for each in found.values()} == {f"model-{environment}"}


def test_deployment_says_what_it_serves_and_leaves_replicas_alone(tmp_path: Path) -> None:
    told = {"requests": {"cpu": "2", "memory": "3Gi"}, "limits": {"cpu": "4", "memory": "5Gi"}}
    found = rendered(tmp_path, "production", resources=told, start_seconds=77)
    deployment = found[f"Deployment/{SLUG}"]
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert "replicas" not in deployment["spec"]
    assert deployment["spec"]["progressDeadlineSeconds"] > 77
    assert container["image"] == IMAGE
    assert container["resources"] == told
    assert container["startupProbe"]["failureThreshold"] == 77
    for each in (deployment, template):
        assert identity(each) == IDENTITY
        assert each["metadata"]["labels"]["app.kubernetes.io/version"] == "3"
        assert each["metadata"]["labels"]["app.kubernetes.io/name"] == SLUG


def test_autoscaler_has_the_bounds_of_its_environment(tmp_path: Path) -> None:
    bounds = {"staging": {"min": 1, "max": 3}, "production": {"min": 4, "max": 9}}
    for environment in ENVIRONMENTS:
        settings = {"replicas": bounds, "target_cpu_percent": 55}
        found = rendered(tmp_path, environment, **settings)[f"HorizontalPodAutoscaler/{SLUG}"]
        spec = found["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == tuple(bounds[environment].values())
        assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 55
        assert spec["scaleTargetRef"]["name"] == SLUG


def test_canary_is_a_deployment_behind_the_same_service(tmp_path: Path) -> None:
    stable = rendered(tmp_path, "production")
    canary = rendered(tmp_path, "production", 2, host="iris.example.com")
    assert list(canary) == [f"Deployment/{SLUG}-canary"]
    one, other = stable[f"Deployment/{SLUG}"], canary[f"Deployment/{SLUG}-canary"]
    assert other["spec"]["replicas"] == 2
    for each in (one, other):
        assert selects(stable[f"Service/{SLUG}"]["spec"]["selector"], each)
        budget = stable[f"PodDisruptionBudget/{SLUG}"]["spec"]
        assert selects(budget["selector"]["matchLabels"], each)
        assert selects(each["spec"]["selector"]["matchLabels"], each)
    assert not selects(one["spec"]["selector"]["matchLabels"], other)
    assert not selects(other["spec"]["selector"]["matchLabels"], one)


def test_another_models_pods_are_not_selected(tmp_path: Path) -> None:
    found = rendered(tmp_path, "staging")
    workload = Workload(Identity("iris", "1", "sha256:0", "b"), IMAGE, Kubernetes())
    other = render(overlay(tmp_path, K8S, "staging", workload))["Deployment/iris"]
    assert not selects(found[f"Service/{SLUG}"]["spec"]["selector"], other)
    for kind in ("Deployment", "PodDisruptionBudget"):
        selector = found[f"{kind}/{SLUG}"]["spec"]["selector"]["matchLabels"]
        assert not selects(selector, other)


def test_ingress_is_there_only_with_a_host_and_gives_predictions_only(tmp_path: Path) -> None:
    spec = rendered(tmp_path, "production", host="iris.example.com")[f"Ingress/{SLUG}"]["spec"]
    backend = {"service": {"name": SLUG, "port": {"name": "http"}}}
    path = {"path": "/invocations", "pathType": "Exact", "backend": backend}
    assert spec == {
        "tls": [{"hosts": ["iris.example.com"], "secretName": f"{SLUG}-tls"}],
        "rules": [{"host": "iris.example.com", "http": {"paths": [path]}}],
    }
    assert f"Ingress/{SLUG}" not in rendered(tmp_path, "staging", host="iris.example.com")


def test_gpu_component_adds_a_gpu_to_what_the_model_asks(tmp_path: Path) -> None:
    for replicas in (0, 1):
        (found,) = (
            each
            for each in rendered(tmp_path, "staging", replicas, components=["gpu"]).values()
            if each["kind"] == "Deployment"
        )
        limits = pod_of(found)["containers"][0]["resources"]["limits"]
        assert limits == {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}
        assert pod_of(found)["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_by_hand_is_the_same_as_generated_with_defaults(tmp_path: Path) -> None:
    for environment in ENVIRONMENTS:
        by_hand, generated = render(K8S / environment), rendered(tmp_path, environment)
        for kind in ("Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"):
            one, other = by_hand[f"{kind}/model-server"], generated[f"{kind}/{SLUG}"]
            if kind == "Deployment":
                pod_of(one)["containers"][0]["image"] = IMAGE
                about = other["spec"]["template"]["metadata"]
                assert about.pop("annotations") == IDENTITY.fields(PREFIX)
                assert about["labels"].pop("app.kubernetes.io/version") == "3"
            text = yaml.safe_dump(other["spec"]).replace(SLUG, "model-server")
            assert yaml.safe_load(text) == one["spec"]


def test_one_line_moves_an_environment_to_another_namespace(tmp_path: Path) -> None:
    k8s = tmp_path / "k8s"
    shutil.copytree(K8S, k8s)
    path = k8s / "staging/kustomization.yaml"
    text = path.read_text()
    path.write_text(re.sub("(?m)^namespace: model-staging", "namespace: elsewhere", text))
    assert namespace(k8s, "staging") == "elsewhere"
    both = {**render(k8s / "staging"), **rendered(tmp_path, "staging", k8s=k8s)}
    assert "Namespace/elsewhere" in both
    assert "model-staging" not in yaml.safe_dump(both)
    found = {each["metadata"].get("namespace", "elsewhere") for each in both.values()}
    subject = both["RoleBinding/model-deployer"]["subjects"][0]
    assert found | {subject["namespace"]} == {"elsewhere"}


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def shapes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[Resource]:
    """Everything that is ever applied to an environment."""
    environment, folder = request.param, tmp_path_factory.mktemp(request.param)
    by_hand = render(K8S / environment)
    stable = rendered(folder, environment, host="iris.example.com", components=["gpu"])
    canary = rendered(folder, environment, 1)
    return [*by_hand.values(), *stable.values(), *canary.values()]


@pytest.mark.parametrize("minor", range(LATEST - 2, LATEST + 1))
def test_the_last_three_minor_versions_know_every_field(shapes: list[Resource], minor: int) -> None:
    assert len(shapes) >= 11 + 4 + 1
    for each in shapes:
        kubernetes_validate.validate(each, f"1.{minor}", strict=True)


def test_a_field_that_no_version_knows_is_noticed(tmp_path: Path) -> None:
    """So that the test above means something."""
    deployment = rendered(tmp_path, "staging")[f"Deployment/{SLUG}"]
    deployment["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, f"1.{LATEST}", strict=True)


def test_grace_period_holds_the_longest_request_of_the_server(tmp_path: Path) -> None:
    pod = pod_of(rendered(tmp_path, "production")[f"Deployment/{SLUG}"])
    (container,) = pod["containers"]
    *_, shell = container["lifecycle"]["preStop"]["exec"]["command"]
    told, _, pause = shell.rpartition("; sleep ")
    assert told == "kill -USR1 1"
    server = Settings.from_environment({each["name"]: each["value"] for each in container["env"]})
    assert server.drain_listen_seconds > 0
    longest = max(server.drain_seconds, server.hang_seconds)  # the latter: nothing else can run
    assert pod["terminationGracePeriodSeconds"] > float(pause) + longest


def test_user_is_the_images() -> None:
    said = re.search(r"(?m)^USER (\d+):(\d+)$", (ROOT / "Dockerfile.mlflow-serve").read_text())
    assert said
    security = pod_of(render(K8S / "staging")["Deployment/model-server"])["securityContext"]
    assert [str(security["runAsUser"]), str(security["runAsGroup"])] == list(said.groups())


@pytest.mark.parametrize(
    ("environment", "image", "settings", "message"),
    [
        ("staging", "registry.example.com/iris:3", {}, "found no digest; next: run .*build_image"),
        ("qa", IMAGE, {}, "qa/kustomization.yaml"),
        ("base", IMAGE, {}, "expected namespace: <name>; found none"),
        ("staging", IMAGE, {"components": ["tpu"]}, "'tpu'.*expected gpu or monitoring"),
    ],
)
def test_what_cannot_be_made_is_said(
    tmp_path: Path, environment: str, image: str, settings: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        rendered(tmp_path, environment, image=image, **settings)


def test_annotations_that_say_too_little_name_nobody() -> None:
    told = IDENTITY.fields(PREFIX)
    assert identity({"metadata": {"annotations": told}}) == IDENTITY
    for name in told:
        less = {key: told[key] for key in told if key != name}
        assert identity({"metadata": {"annotations": less}}) is None
    assert identity({"metadata": {}}) is None


@pytest.fixture
def monitored(tmp_path: Path) -> dict[str, Resource]:
    """Production with the monitoring component."""
    k8s = tmp_path / "k8s"
    shutil.copytree(K8S, k8s)
    path = k8s / "production/kustomization.yaml"
    path.write_text(path.read_text().replace("# components:", "components:"))
    assert len(rendered(tmp_path, "production", k8s=k8s)) == 4  # deploys leave it alone
    return render(k8s / "production")


def test_monitor_finds_the_service_and_its_port(monitored: dict[str, Resource]) -> None:
    service = monitored["Service/model-server"]
    spec = monitored["ServiceMonitor/model-server"]["spec"]
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert spec["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_alerts_are_promql_about_metrics_that_the_server_has(
    monitored: dict[str, Resource],
) -> None:
    exposed = Metrics(ServedRelease("iris", "1", "sha256:0", "r", batching=False)).text().decode()
    (group,) = monitored["PrometheusRule/model-server"]["spec"]["groups"]
    assert len(group["rules"]) == 5
    for rule in group["rules"]:
        promql_parser.parse(rule["expr"])
        names = re.findall(r"serving_\w+", rule["expr"])
        assert names
        for name in names:
            assert re.search(rf"(?m)^{name}\{{", exposed), name
        assert math.isfinite(float(rule["for"][:-1]))


def test_yaml_of_the_documentation_is_accepted() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/kubernetes.md").read_text(), re.DOTALL)
    told = yaml.safe_load(text)["kubernetes"]
    read = Kubernetes.model_validate(told)
    assert set(told) == set(Kubernetes.model_fields)
    assert set(told["canary"]) == set(type(read.canary).model_fields)
    assert read == Kubernetes(host="iris.example.com", components=("gpu",))
