"""The probe model in staging, as a deployer has applied it; shared by the tests of manifests."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_release.config.kubernetes_settings import Kubernetes
from model_release.identity import slug
from model_release.targets.kubernetes.manifests import NAME, TRACK, Workload, overlay
from tests.e2e.probe_images import MODEL

ENVIRONMENTS = ("staging", "production")
SETTINGS = Kubernetes.model_validate(
    {
        "replicas": {"staging": {"min": 1, "max": 2}},
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
        "target_cpu_percent": 60,
        "host": "probe.example.com",
    }
)
APPLY = ("apply", "--server-side", "--field-manager=test", "-f", "-")


def kubectl(*arguments: str, config: Path | None = None, text: str | None = None) -> str:
    """What kubectl answers; AssertionError with what it says if it fails.

    Args:
        arguments: after `kubectl`.
        config: another kubeconfig than KUBECONFIG.
        text: standard input.
    """
    environment = {**os.environ, **({"KUBECONFIG": str(config)} if config else {})}
    done = subprocess.run(
        ["kubectl", *arguments],
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class ProbeInStaging:
    """The probe model, applied to staging by a deployer and rolled out.

    Args:
        namespace: of staging.
        folder: of the manifests.
        config: the deployer's kubeconfig.
        workload: what was applied.
        manifest: the YAML that was applied.
    """

    namespace: str
    folder: Path
    config: Path
    workload: Workload
    manifest: str
    name: str = slug(MODEL)

    def run(self, *arguments: str, text: str | None = None) -> str:
        """Call kubectl as the deployer."""
        return kubectl(*arguments, config=self.config, text=text)

    def rolled_over(self, name: str) -> None:
        """Wait for the end of a rollout, which takes a right to watch that the deployer has not."""
        where = f"--namespace={self.namespace}"
        kubectl("rollout", "status", f"deployment/{name}", where, "--timeout=180s")

    def get(self, *arguments: str) -> Any:
        """An object or a list's items, as an administrator sees them."""
        where = f"--namespace={self.namespace}"
        found = json.loads(kubectl("get", *arguments, where, "--output=json"))
        return found.get("items", found)

    def pods(self, track: str = "stable") -> list[Any]:
        """The pods of a track that are not ending."""
        found = self.get("pods", f"--selector={NAME}={self.name},{TRACK}={track}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def render(
    folder: Path, k8s: Path, environment: str, workload: Workload, canary_replicas: int = 0
) -> str:
    """The YAML of a model's overlay."""
    return kubectl("kustomize", str(overlay(folder, k8s, environment, workload, canary_replicas)))


def refusal(*arguments: str, config: Path) -> str:
    """What kubectl says when it fails."""
    done = subprocess.run(
        ["kubectl", f"--kubeconfig={config}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr
