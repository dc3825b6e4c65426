"""The Kubernetes target: each environment is a namespace, and kubectl is all that is needed.

Staging is rolled over and then verified. In production a canary serves beside the stable pods until
a decision is measured; then the stable Deployment is rolled over and watched. What was last good is
kept in a ConfigMap beside the model, and is what every failure puts back.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from model_release import commands
from model_release.config.kubernetes_settings import Kubernetes
from model_release.errors import OutsideError, UsageError
from model_release.identity import Identity, slug
from model_release.report import Table
from model_release.report.progress import Tell
from model_release.targets import Deployment, Diff, Running, Verify, unknown_environment
from model_release.targets.kubernetes import manifests
from model_release.targets.kubernetes.kubectl import Kubectl
from model_release.targets.kubernetes.lease import hold
from model_release.targets.kubernetes.manifests import CANARY, STABLE, Workload
from model_release.targets.kubernetes.pods import fault
from model_release.targets.kubernetes.rollout import look, read_status
from model_release.targets.kubernetes.slot import Good, Slot
from model_release.targets.kubernetes.upgrade import Upgrade

ENVIRONMENTS = ("staging", "production")


@dataclass(frozen=True)
class KubernetesTarget:
    """Model servers in a cluster.

    Args:
        k8s: folder of the manifests; its environments' namespaces are where models go.
        settings: a model's `kubernetes` section, by its name.
        context: of the kubeconfig; the current one if empty.
        wait_seconds: how long to wait for another deploy of the same model.
    """

    k8s: Path
    settings: Callable[[str], Kubernetes]
    context: str = ""
    wait_seconds: float = 30.0
    name: str = "kubernetes"
    protected: bool = True
    runs_images: bool = True

    def deploy(
        self, environment: str, deployment: Deployment, progress: Tell, verify: Verify
    ) -> Running:
        """Make `deployment` what serves its model in `environment`; see `targets.Target`.

        Raises:
            UsageError: no such environment or context, or an image without a digest.
            OutsideError: the cluster is not reached, or permissions are missing. Nothing changed.
            DetailedError: the deploy failed and was undone.
        """
        model = deployment.identity.model
        slot, settings = self._slot(environment, model), self.settings(model)
        manifest = slot.manifest(_workload(deployment, settings))
        self._check_context(environment)
        # The cluster has admitted a proven release before: it goes back without being asked again.
        changes, added = _preflight(slot, None if deployment.proven else manifest)
        what = f"deploying {model} to {environment}"
        measured: Sequence[Table] = ()
        with hold(slot.kubectl, slot.slug, what, self.wait_seconds, progress) as lease:
            good = slot.good()
            wanted = Good(manifest, deployment.identity)
            if not added and self._serves(slot, wanted, good, changes):
                progress(f"{environment} already serves {deployment.identity}")
            else:
                if changes is not None:
                    progress(f"changes: {summary(changes)}")
                if added:
                    progress(f"taking away what was added by hand: {'; '.join(added)}")
                    slot.take_over()
                with slot.kubectl.proxy(slot.slug) as base:
                    upgrade = Upgrade(
                        slot, deployment, settings, manifest, good, lease, progress, verify, base
                    )
                    upgrade.run()
                    measured = upgrade.tables
        return replace(self._just_deployed(environment, deployment), measured=measured)

    def manifest(self, environment: str, deployment: Deployment) -> str:
        """What a deploy applies, rendered here: no cluster is asked."""
        workload = _workload(deployment, self.settings(deployment.identity.model))
        return self._slot(environment, deployment.identity.model).manifest(workload)

    def check(self, environment: str, model: str) -> str:
        """The namespace: context, cluster and permissions are there.

        Raises:
            UsageError: no such environment, or the context of production is not named.
            OutsideError: the cluster is not reached, or permissions are missing.
        """
        self._check_context(environment)
        slot = self._slot(environment, model)
        slot.check_permissions()
        return f"namespace {slot.kubectl.namespace}, with what a deploy may do there"

    def diff(self, environment: str, deployment: Deployment) -> Diff:
        """What a deploy would change; the API server has admitted it all."""
        self._check_context(environment)
        slot = self._slot(environment, deployment.identity.model)
        workload = _workload(deployment, self.settings(deployment.identity.model))
        changes, added = _preflight(slot, slot.manifest(workload))
        return Diff(changes or "", summary(changes or ""), added)

    def faults(self, environment: str, deployment: Deployment) -> Sequence[str]:
        """Stable pods that are not ready, or do not answer as `deployment`."""
        slot = self._slot(environment, deployment.identity.model)
        members = [pod for pod in look(slot.kubectl, slot.slug).pods[STABLE] if not pod.ending]
        with slot.kubectl.proxy(slot.slug) as base:
            found = [fault(base, pod, deployment.identity) for pod in members]
        return [each for each in found if each]

    def running(self, environment: str | None = None) -> list[Running]:
        """What is deployed in one environment, or in all, sorted by environment and model."""
        names = ENVIRONMENTS if environment is None else (environment,)
        found = [running for name in names for running in self._running(name)]
        return sorted(found, key=lambda run: (run.environment, run.identity.model))

    def find(self, environment: str, model: str) -> Running | None:
        """What is deployed of one model; None where nothing is."""
        found = self._running(environment)
        return next((running for running in found if running.identity.model == model), None)

    @contextmanager
    def reach(self, environment: str, model: str) -> Iterator[str]:
        """A local address of the model's Service, through the API server's proxy."""
        with self._kubectl(environment).proxy(slug(model)) as base:
            yield f"{base}/services/{slug(model)}:http/proxy"

    def stop(self, environment: str | None = None) -> list[Running]:
        """Delete what is deployed there, and say what it was.

        Raises:
            UsageError: no environment is named; a forgotten word must not stop production.
        """
        if environment is None:
            stop = commands.script(
                "release_status", stop=True, environment="staging", target=self.name
            )
            raise UsageError(
                "stopping servers in a cluster",
                expected="the name of an environment",
                found="none",
                next_step=f"name it, such as `{stop}`",
            )
        ended = self.running(environment)
        for run in ended:
            self._slot(run.environment, run.identity.model).remove()
        return ended

    def _slot(self, environment: str, model: str) -> Slot:
        return Slot(self._kubectl(environment), self.k8s, environment, model)

    def _check_context(self, environment: str) -> None:
        """Production is never deployed to by a context that happens to be the current one.

        Raises:
            UsageError: none was named and the kubeconfig has several.
        """
        if environment != "production" or self.context:
            return
        known = self._kubectl(environment).run("config", "get-contexts", "--output=name").split()
        if len(known) > 1:
            raise UsageError(
                "context of production",
                expected=f"to be named: {' or '.join(known)}",
                found="none named, several in the kubeconfig",
                next_step="give --context, or set KUBE_CONTEXT",
            )

    def _serves(self, slot: Slot, wanted: Good, good: Good | None, changes: str | None) -> bool:
        """Whether that is what was last good, nobody changed it, and it serves, alone."""
        if good != wanted or (slot.kubectl.diff(wanted.manifest) if changes is None else changes):
            return False
        found = look(slot.kubectl, slot.slug).deployments
        stable = found.get(STABLE)
        return bool(stable and stable.complete and CANARY not in found)

    def _running(self, environment: str) -> Iterator[Running]:
        kubectl = self._kubectl(environment)
        selector = f"--selector={manifests.COMPONENT},{manifests.TRACK}={STABLE}"
        for each in kubectl.json("get", "deployments", selector)["items"]:
            identity = manifests.identity(each)
            if identity:
                public = environment == "production"
                host = self.settings(identity.model).host if public else None
                yield _running(environment, identity, each, host)

    def _just_deployed(self, environment: str, deployment: Deployment) -> Running:
        running = self.find(environment, deployment.identity.model)
        if running is None:
            raise OutsideError(
                f"{deployment.identity.model} in {environment}",
                expected=f"{deployment.identity}, which was just deployed",
                found="nothing",
                next_step="find out who deleted it, then run the same command again",
            )
        return running

    def _kubectl(self, environment: str) -> Kubectl:
        if environment not in ENVIRONMENTS:
            raise unknown_environment(environment, ENVIRONMENTS)
        return Kubectl(manifests.namespace(self.k8s, environment), environment, self.context)


def _preflight(slot: Slot, manifest: str | None) -> tuple[str | None, list[str]]:
    """What applying these manifests would change, once it is known that this deployer may.

    And what was added by hand, in words, which applying them would leave there.
    All at once, as each is a kubectl of its own; what is told first is what is asked first.
    Without manifests nothing is compared.
    """
    with ThreadPoolExecutor() as pool:
        allowed = pool.submit(slot.check_permissions)
        owned = pool.submit(slot.check_owner)
        changes = pool.submit(slot.kubectl.diff, manifest) if manifest else None
        allowed.result()
        added = owned.result()
        return changes.result() if changes else None, added


def summary(diff: str) -> str:
    """How many lines of which objects a unified diff changes; "none" for an empty one."""
    counts: dict[str, int] = {}
    name = ""
    for line in diff.splitlines():
        if line.startswith("diff "):
            *_, kind, _, object_name = line.rpartition("/")[2].split(".")
            name = f"{kind} {object_name}"
        elif line[:1] in "+-" and line[:3] not in ("+++", "---"):
            counts[name] = counts.get(name, 0) + 1
    told = (f"{name} ({count} line{'s'[: count > 1]})" for name, count in counts.items())
    return ", ".join(told) or "none"


def _workload(deployment: Deployment, settings: Kubernetes) -> Workload:
    return Workload(deployment.identity, deployment.image, settings)


def _running(environment: str, identity: Identity, found: Any, host: str | None) -> Running:
    """What a Deployment runs; its address is public where the model has a host."""
    status, metadata = read_status(found), found["metadata"]
    return Running(
        environment=environment,
        identity=identity,
        url=f"https://{host}" if host else f"http://{metadata['name']}.{metadata['namespace']}.svc",
        replicas=status.available,
        since=datetime.fromisoformat(status.since),
    )
