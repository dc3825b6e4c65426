"""A pair of namespaces with a Kubernetes target on them, as the end-to-end tests use it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from model_release.config.kubernetes_settings import Amounts, Canary, Kubernetes, Resources
from model_release.identity import PREFIX, slug
from model_release.report import DetailedError, Report
from model_release.report.render import render
from model_release.smoke import check_server
from model_release.targets import Deployment, Running
from model_release.targets.kubernetes import manifests
from model_release.targets.kubernetes.target import KubernetesTarget
from tests.e2e.callers import CallersPod, kubectl

SMALL = Kubernetes(
    resources=Resources(
        requests=Amounts(cpu="200m", memory="200Mi"), limits=Amounts(cpu="1", memory="512Mi")
    ),
    start_seconds=240,
    target_cpu_percent=1000,
    # Wide limits: a node that is shared with the callers is slow now and then.
    canary=Canary(
        share=0.3,
        duration_seconds=30,
        min_requests=80,
        max_error_rate_increase=0.05,
        max_latency_ratio=4,
        load_per_second=30,
        bake_seconds=3,
    ),
)
STRICT = {"duration_seconds": 120, "max_error_rate_increase": 0.01, "max_latency_ratio": 1.5}
"""For canaries that have to be found out."""

NOBODY = "sha256:" + "0" * 64


@dataclass
class Cluster:
    """Two namespaces of their own, and the target that deploys to them."""

    k8s: Path
    settings: Kubernetes = SMALL
    lines: list[str] = field(default_factory=list)

    @property
    def target(self) -> KubernetesTarget:
        return KubernetesTarget(self.k8s, lambda model: self.settings)

    @property
    def namespace(self) -> str:
        return manifests.namespace(self.k8s, "production")

    def deploy(
        self,
        deployment: Deployment,
        environment: str = "production",
        *,
        verified: bool = True,
        say: Callable[[str], None] | None = None,
    ) -> Running:
        """Deploy; what staging would have found is left out unless `verified`."""

        def verify(url: str) -> None:
            if verified:
                for check in check_server(
                    url, deployment.identity, deployment.cases, deployment.tolerances, None
                ):
                    assert check.passed, f"{url}: {check}"

        def progress(line: str) -> None:
            self.lines.append(line)
            if say:
                say(line)

        self.lines.clear()
        return self.target.deploy(environment, deployment, progress, verify)

    def callers(self, deployment: Deployment) -> CallersPod:
        host = f"{slug(deployment.identity.model)}.{self.namespace}.svc.cluster.local"
        frame = {"columns": ["a", "b"], "data": [[100.0, 1.0]]}  # answered without delay
        body = json.dumps({"dataframe_split": frame})
        return CallersPod(f"{self.namespace}-load", deployment.image, host, body)

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return kubectl(f"--namespace={self.namespace}", *arguments, text=text)

    def with_canary(self, **changes: object) -> "Cluster":
        canary = self.settings.canary.model_copy(update=changes)
        return replace(self, settings=self.settings.model_copy(update={"canary": canary}), lines=[])

    def facts(self, model: str) -> dict[str, object]:
        """What production is: template of the Deployment, size, living pods, other objects."""
        name = slug(model)
        found = json.loads(self.kubectl("get", "deployment", name, "--output=json"))
        pods = json.loads(
            self.kubectl(
                "get", "pods", f"--selector=app.kubernetes.io/name={name}", "--output=json"
            )
        )["items"]
        living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        objects = self.kubectl("get", "deployment,service,hpa,pdb,ingress", "--output=name").split()
        return {
            "template": found["spec"]["template"],
            "annotations": {
                key: value
                for key, value in found["metadata"]["annotations"].items()
                if key.startswith(PREFIX)
            },
            "ready": found["status"].get("readyReplicas"),
            "pods": sorted(pod["metadata"]["name"] for pod in living),
            "objects": sorted(objects),
        }


def failure(error: DetailedError) -> str:
    """The whole report of a failed deploy, as a job summary shows it."""
    return render(
        Report(str(error), "refused", tables=error.tables, lines=[str(error)]), "markdown"
    )
