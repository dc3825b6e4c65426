"""A slot: one model in the namespace of one environment, what was last good there, what is now."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from model_release.errors import OutsideError, RefusedError
from model_release.identity import Identity, slug
from model_release.targets.kubernetes import managed_fields, manifests
from model_release.targets.kubernetes.kubectl import FIELD_MANAGER, Kubectl
from model_release.targets.kubernetes.manifests import CANARY, STABLE, Workload, deployment_name
from model_release.targets.kubernetes.rollout import DeploymentStatus, look

MANAGED = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
KINDS = "deployment,service,horizontalpodautoscaler,poddisruptionbudget,ingress"
"""What an overlay is made of."""


@dataclass(frozen=True)
class Good:
    """What was deployed here last and found good: its manifests, and who it is."""

    manifest: str
    identity: Identity


@dataclass(frozen=True)
class Slot:
    """One model in one environment.

    Args:
        kubectl: in the environment's namespace.
        k8s: folder of the manifests.
        environment: staging or production.
        model: registered name.
    """

    kubectl: Kubectl
    k8s: Path
    environment: str
    model: str

    @property
    def slug(self) -> str:
        """Name of the model's objects."""
        return slug(self.model)

    @property
    def record(self) -> str:
        """Name of the ConfigMap that keeps what was last good."""
        return f"{self.slug}-release"

    def manifest(self, workload: Workload, canary_replicas: int = 0) -> str:
        """The manifests of a release as YAML: all of it, or its canary's Deployment alone."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            manifests.overlay(path, self.k8s, self.environment, workload, canary_replicas)
            return self.kubectl.run("kustomize", folder)

    def check_permissions(self) -> None:
        """Raise OutsideError naming the first permission of the deployer's role that is missing.

        One call for all: `kubectl auth can-i` asks the same question once a call.
        """
        role = yaml.safe_load((self.k8s / "access/role.yaml").read_text(encoding="utf-8"))
        reviews = list(_reviews(self.kubectl.namespace, role["rules"]))
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
        arguments = ("create", "--validate=false", "-f", "-", "--output=json")
        answers = self.kubectl.run(*arguments, text=text)
        for answer in _documents(answers):
            if not answer["status"].get("allowed"):
                asked = answer["spec"]["resourceAttributes"]
                what = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
                raise OutsideError(
                    f"permissions in namespace {self.kubectl.namespace}",
                    expected=f"to {asked['verb']} {what}",
                    found="forbidden",
                    next_step=f"let a cluster administrator run `{self.preparation}`",
                )

    @property
    def preparation(self) -> str:
        """The command with which an administrator prepares the namespace."""
        return manifests.PREPARATION.format(environment=self.environment)

    def good(self) -> Good | None:
        """What was last good here; None before the first deployment.

        Raises:
            OutsideError: somebody has changed the record.
        """
        found = self.kubectl.find("configmap", self.record)
        if not found:
            return None
        try:
            data = found["data"]
            return Good(data["manifest"], Identity.read(json.loads(data["identity"])))
        except (KeyError, TypeError, ValueError) as error:
            where = f"--namespace {self.kubectl.namespace}"
            raise OutsideError(
                f"configmap {self.record} in namespace {self.kubectl.namespace}",
                expected="manifest and identity of what was last good",
                found=f"{type(error).__name__}: {error}",
                next_step="put back what the last deploy wrote there, or run "
                f"`kubectl delete configmap {self.record} {where}` and release the champion again",
            ) from error

    def commit(self, good: Good) -> None:
        """Keep what is good now. From here on it is what a failed deploy puts back."""
        labels = MANAGED | {manifests.NAME: self.slug}
        identity = json.dumps(good.identity.fields(), ensure_ascii=False)
        document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.record, "labels": labels},
            "data": {"manifest": good.manifest, "identity": identity},
        }
        self.kubectl.apply(json.dumps(document))

    def status(self, track: str = STABLE) -> DeploymentStatus | None:
        """The Deployment of a track; None where there is none."""
        return look(self.kubectl, self.slug).deployments.get(track)

    def check_owner(self) -> list[str]:
        """What somebody has added to the model's Deployment by hand, in words.

        Raises:
            RefusedError: this software did not make the Deployment.
        """
        found = self._deployment()
        if found and manifests.identity(found) is None:
            raise RefusedError(
                f"deployment {self.slug} in namespace {self.kubectl.namespace}",
                expected="none, or one of an earlier release",
                found="one without a release's annotations",
                next_step="find out who made it; if nobody needs it, run "
                f"`kubectl delete deployment {self.slug} --namespace {self.kubectl.namespace}` "
                "and the same command again",
            )
        return managed_fields.added(found, FIELD_MANAGER) if found else []

    def take_over(self) -> None:
        """Own what was added by hand: the next apply then removes it."""
        if not (found := self._deployment()):
            return
        fields = managed_fields.taken_over(found, FIELD_MANAGER)
        patch = [{"op": "replace", "path": "/metadata/managedFields", "value": fields}]
        arguments = ("patch", "deployment", self.slug, "--type=json")
        self.kubectl.run(*arguments, f"--patch={json.dumps(patch)}")

    def _deployment(self) -> Any | None:
        return self.kubectl.find("deployment", self.slug, "--show-managed-fields")

    def remove_canary(self) -> None:
        """Delete the canary's Deployment, if there is one; its pods drain."""
        name = deployment_name(self.slug, CANARY)
        self.kubectl.run("delete", "deployment", name, "--ignore-not-found", "--wait=false")

    def remove_others(self, old: str, new: str) -> None:
        """Delete what the old manifests have and the new ones have not, such as an Ingress."""
        names = [f"{kind}/{name}" for kind, name in sorted(_names(old) - _names(new))]
        if names:
            self.kubectl.run("delete", *names, "--ignore-not-found", "--wait=false")

    def remove(self) -> None:
        """Delete all that a deploy made, the record of what was good first."""
        names = [f"configmap/{self.record}", *(f"{kind}/{self.slug}" for kind in KINDS.split(","))]
        self.kubectl.run("delete", *names, "--ignore-not-found", "--wait=false")
        self.remove_canary()


def minimum(manifest: str) -> int:
    """Fewest pods that the autoscaler in these manifests allows; 1 without one."""
    for document in yaml.safe_load_all(manifest):
        if document["kind"] == "HorizontalPodAutoscaler":
            return int(document["spec"]["minReplicas"])
    return 1


def _names(manifest: str) -> set[tuple[str, str]]:
    found = yaml.safe_load_all(manifest)
    return {(each["kind"].lower(), each["metadata"]["name"]) for each in found}


def _reviews(namespace: str, rules: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """For each permission that the rules of a role give, the question whether it is had."""
    for rule in rules:
        for group, what, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"]):
            resource, _, subresource = what.partition("/")
            asked = {"namespace": namespace, "group": group, "resource": resource, "verb": verb}
            yield {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked | {"subresource": subresource}},
            }


def _documents(text: str) -> Sequence[Any]:
    """JSON documents that follow one another, or the items of a List."""
    decoder, at = json.JSONDecoder(), 0
    found: list[Any] = []
    while at < len(text.rstrip()):
        document, end = decoder.raw_decode(text, at)
        found += document["items"] if document["kind"] == "List" else [document]
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return found
