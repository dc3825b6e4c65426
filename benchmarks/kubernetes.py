"""What a deploy adds to bare kubectl: seconds to staging, and to the first answer of a rollback.

    python benchmarks/kubernetes.py --rounds 5

Both sides in turn, A B A B, in one run, in two namespaces that are made for it and deleted. Needs
what tests/e2e need: KUBECONFIG of an administrator, DOCKER_HOST, IMAGE_REGISTRY and BASE_IMAGE.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from model_release import ROOT
from model_release.config.kubernetes_settings import Amounts, Kubernetes, Resources
from model_release.errors import OutsideError
from model_release.identity import Identity, slug
from model_release.smoke import ask_identity
from model_release.targets import Deployment
from model_release.targets.kubernetes.kubectl import FIELD_MANAGER
from model_release.targets.kubernetes.manifests import PREPARATION, Workload, namespace, overlay
from model_release.targets.kubernetes.target import KubernetesTarget
from tests.e2e.probe_images import ProbeImages

SETTINGS = Kubernetes(
    resources=Resources(
        requests=Amounts(cpu="50m", memory="200Mi"), limits=Amounts(cpu="1", memory="512Mi")
    ),
    target_cpu_percent=1000,
)
OVERHEAD_SECONDS = 5.0
ROLLBACK_RATIO = 1.5
POLL_SECONDS = 0.02


@contextmanager
def prepared() -> Iterator[Path]:
    """The manifests, moved to namespaces of their own, as an administrator prepares them."""
    with tempfile.TemporaryDirectory() as folder:
        k8s = Path(folder) / "k8s"
        shutil.copytree(ROOT / "k8s", k8s)
        for environment in ("staging", "production"):
            path = k8s / environment / "kustomization.yaml"
            line = f"namespace: benchmark-{environment}-{os.getpid()}"
            path.write_text(re.sub(r"(?m)^namespace: \S+", line, path.read_text()))
            command = PREPARATION.format(environment=environment).replace("k8s/", f"{k8s}/")
            subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602
        try:
            yield k8s
        finally:
            for environment in ("staging", "production"):
                command = f"kubectl delete namespace {namespace(k8s, environment)} --wait=false"
                subprocess.run(command.split(), check=False, capture_output=True)


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


@dataclass(frozen=True)
class Cluster:
    """A target, and the bare commands that do the same."""

    k8s: Path

    @property
    def target(self) -> KubernetesTarget:
        """As the scripts make it."""
        return KubernetesTarget(self.k8s, lambda _: SETTINGS)

    def deploy(self, environment: str, deployment: Deployment) -> None:
        """By this software, smoke suite left aside; that every pod answers as itself is not."""
        target = self.target
        target.deploy(environment, deployment, lambda _: None, lambda _: None)

    def bare(self, environment: str, deployment: Deployment) -> None:
        """By `kubectl apply` and `kubectl rollout status`."""
        workload = Workload(deployment.identity, deployment.image, SETTINGS)
        with tempfile.TemporaryDirectory() as folder:
            overlay(Path(folder), self.k8s, environment, workload)
            manager = f"--field-manager={FIELD_MANAGER}"
            self._kubectl(environment, "apply", "--server-side", manager, "-k", folder)
        name = slug(deployment.identity.model)
        self._kubectl(environment, "rollout", "status", f"deployment/{name}")

    def undo(self, deployment: Deployment) -> None:
        """By `kubectl rollout undo`."""
        name = slug(deployment.identity.model)
        self._kubectl("production", "rollout", "undo", f"deployment/{name}")

    def settle(self, deployment: Deployment) -> None:
        """Wait until production is rolled over, and its old pods are gone."""
        name = slug(deployment.identity.model)
        self._kubectl("production", "rollout", "status", f"deployment/{name}")
        version = deployment.identity.version
        old = f"--selector=app.kubernetes.io/name={name},app.kubernetes.io/version!={version}"
        self._kubectl("production", "wait", "--for=delete", "pod", old, "--timeout=120s")

    def first_answer(self, wanted: Identity, start: Callable[[], object]) -> float:
        """Seconds from `start` until the Service answers as `wanted`."""
        with self.target.reach("production", wanted.model) as url:
            begun = time.perf_counter()
            thread = threading.Thread(target=start)
            thread.start()
            while True:
                try:
                    if ask_identity(url) == wanted:
                        break
                except OutsideError:
                    pass
                time.sleep(POLL_SECONDS)  # or the question itself takes the node's time
            took = time.perf_counter() - begun
            thread.join()
        return took

    def _kubectl(self, environment: str, *arguments: str) -> None:
        command = ["kubectl", f"--namespace={namespace(self.k8s, environment)}", *arguments]
        subprocess.run(command, check=True, capture_output=True)


def staging(cluster: Cluster, pair: list[Deployment], rounds: int) -> dict[str, list[float]]:
    """Seconds of deploys to staging, one release after the other."""
    cluster.deploy("staging", pair[0])
    found: dict[str, list[float]] = {"bare kubectl": [], "this": []}
    for _ in range(rounds):
        found["bare kubectl"].append(seconds(lambda: cluster.bare("staging", pair[1])))
        found["this"].append(seconds(lambda: cluster.deploy("staging", pair[0])))
    return found


def again(cluster: Cluster, deployment: Deployment, rounds: int) -> dict[str, list[float]]:
    """Seconds of deploying to staging what serves there."""
    cluster.deploy("staging", deployment)
    deploy = partial(cluster.deploy, "staging", deployment)
    return {"this": [seconds(deploy) for _ in range(rounds)]}


def rollback(cluster: Cluster, pair: list[Deployment], rounds: int) -> dict[str, list[float]]:
    """Seconds to the first answer of the release before, in production."""
    first, second = (replace(each, proven=True) for each in pair)
    cluster.deploy("production", first)
    found: dict[str, list[float]] = {"bare kubectl": [], "this": []}
    for _ in range(rounds):
        for name, back in (
            ("bare kubectl", lambda: cluster.undo(first)),
            ("this", lambda: cluster.deploy("production", first)),
        ):
            cluster.deploy("production", second)
            cluster.settle(second)
            found[name].append(cluster.first_answer(first.identity, back))
            cluster.settle(first)
            cluster.deploy("production", first)
    return found


def main() -> int:
    """Print the medians; 1 when one misses its bound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, prepared() as k8s:
        images = ProbeImages(Path(folder), os.environ["IMAGE_REGISTRY"], os.environ["BASE_IMAGE"])
        pair = [images.release("1"), images.release("2")]
        cluster = Cluster(k8s)
        tables = {
            "staging, apply to rolled over": staging(cluster, pair, rounds),
            "rollback, to the first answer": rollback(cluster, pair, rounds),
            "the same release again": again(cluster, pair[0], rounds),
        }
    medians = []
    for title, table in tables.items():
        middle = {name: statistics.median(values) for name, values in table.items()}
        medians.append((middle.get("bare kubectl", 0.0), middle["this"]))
        spread = {name: f"{min(table[name]):.1f}–{max(table[name]):.1f}" for name in table}
        for name, value in middle.items():
            print(f"{title:<32} {name:<14} {value:6.1f} s  ({spread[name]})")
    overhead, ratio = medians[0][1] - medians[0][0], medians[1][1] / medians[1][0]
    print(f"overhead on staging: {overhead:.1f} s (at most {OVERHEAD_SECONDS:g})")
    print(f"rollback against kubectl rollout undo: {ratio:.2f} × (at most {ROLLBACK_RATIO:g})")
    return int(overhead > OVERHEAD_SECONDS or ratio > ROLLBACK_RATIO)


if __name__ == "__main__":
    raise SystemExit(main())
