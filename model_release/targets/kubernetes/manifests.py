"""The manifests of one model: an overlay over `k8s/<environment>` that names model and image.

It keeps of the environment what belongs to a model server and drops what an administrator applied
(namespace, network policies, access). Two shapes come of the same base: the stable Deployment with
Service, HorizontalPodAutoscaler, PodDisruptionBudget and Ingress; and a canary, a Deployment alone,
whose pods the same Service selects.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model_release import commands
from model_release.config.kubernetes_settings import Kubernetes, Replicas
from model_release.errors import UsageError
from model_release.identity import PREFIX, Identity, slug
from model_release.targets import unknown_environment

NAME = "app.kubernetes.io/name"
"""Label of everything that belongs to a model: its slug."""

COMPONENT = "app.kubernetes.io/component=model-server"
"""Selects what deploys apply."""

TRACK = "model-release/track"
"""Label that tells a model's stable pods from its canary's."""

STABLE, CANARY = "stable", "canary"
"""The tracks."""

PREPARATION = "kubectl apply -k k8s/{environment} -l 'app.kubernetes.io/component!=model-server'"
"""What an administrator runs once: namespace, network policies, the deployer's access."""

SPARE_SECONDS = 30
"""What a rollout may take beyond the loading of the model: scheduling, pulling the image."""

Patch = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """What an overlay is made for.

    Args:
        identity: what its servers answer to `GET /model`.
        image: reference by digest, `registry/name@sha256:…`.
        settings: the model's `kubernetes:` section.
    """

    identity: Identity
    image: str
    settings: Kubernetes


def namespace(k8s: Path, environment: str) -> str:
    """The namespace of an environment, read from its kustomization.yaml: nothing else names it.

    Raises:
        UsageError: the file is missing or unreadable, or names no namespace.
    """
    path = k8s / environment / "kustomization.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(
            str(path),
            expected="an environment's kustomization",
            found=" ".join(str(error).split()),
            next_step="restore the file from the repository",
        ) from error
    name = found.get("namespace") if isinstance(found, dict) else None
    if not isinstance(name, str):
        raise UsageError(
            str(path),
            expected="namespace: <name>",
            found="none",
            next_step="add the line `namespace: <name>` to this file",
        )
    return name


def identity(resource: Mapping[str, Any]) -> Identity | None:
    """What the annotations of a Deployment or pod say it serves; None if they do not."""
    try:
        return Identity.read(resource["metadata"].get("annotations", {}), PREFIX)
    except KeyError:
        return None


def deployment_name(slug: str, track: str) -> str:
    """Name of the Deployment of a track of a model; of its Service, too, where that is stable."""
    return slug if track == STABLE else f"{slug}-{track}"


def overlay(
    folder: Path, k8s: Path, environment: str, workload: Workload, canary_replicas: int = 0
) -> Path:
    """Write the kustomization of one model, for `kubectl kustomize <folder>`.

    The stable Deployment has no `replicas`: they are the autoscaler's, and whoever applied them
    once and then leaves them out sets them to 1. The Ingress is there only where `host` is set; one
    of an earlier release has to be deleted by name.

    Args:
        folder: an existing one, outside of `k8s`; gets `kustomization.yaml`.
        k8s: the checkout's manifests.
        environment: "staging" or "production".
        workload: the model.
        canary_replicas: the pods of its canary; 0 for the stable Deployment and all around it.

    Returns:
        `folder`.

    Raises:
        UsageError: an image without a digest, or no such environment or component.
    """
    _check_image(workload)
    namespace(k8s, environment)
    components = [_component(k8s, name) for name in workload.settings.components]
    name = slug(workload.identity.model)
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [_relative(k8s / environment, folder)],
        "components": [_relative(path, folder) for path in components],
        "labels": [{"pairs": {NAME: name}, "includeSelectors": True}],
        "patches": _patches(name, environment, workload, canary_replicas),
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    return folder


def _patches(name: str, environment: str, workload: Workload, canary_replicas: int) -> list[Patch]:
    settings = workload.settings
    track = (
        _canary(name, canary_replicas)
        if canary_replicas
        else _stable(name, settings, _replicas(settings, environment))
    )
    others = _delete({"labelSelector": COMPONENT.replace("=", "!=")})
    return [others, _deployment(workload), *track]


def _check_image(workload: Workload) -> None:
    if not re.fullmatch(r"[^@\s]+@sha256:[0-9a-f]{64}", workload.image):
        build = commands.station(
            "build", workload.identity.model, workload.identity.version, push=True
        )
        raise UsageError(
            f"image {workload.image}",
            expected="registry/name@sha256:…",
            found="no digest",
            next_step=f"run `{build}`",
        )


def _stable(name: str, settings: Kubernetes, replicas: Replicas) -> list[Patch]:
    """The Deployment and what is around it, each under the model's name."""
    hpa = {
        "/spec/minReplicas": replicas.min,
        "/spec/maxReplicas": replicas.max,
        "/spec/metrics/0/resource/target/averageUtilization": settings.target_cpu_percent,
    }
    ingress = _delete({"kind": "Ingress"})
    if settings.host:
        host = {
            "/spec/rules/0/host": settings.host,
            "/spec/tls/0/hosts/0": settings.host,
            "/spec/tls/0/secretName": f"{name}-tls",
        }
        ingress = _replace({"kind": "Ingress"}, host)
    return [
        _replace({"kind": "HorizontalPodAutoscaler"}, hpa),
        ingress,
        _replace({"labelSelector": COMPONENT}, {"/metadata/name": name}),
    ]


def _canary(name: str, replicas: int) -> list[Patch]:
    """The Deployment alone, on a track of its own, with a number of pods that nobody else sets."""
    track = {TRACK: CANARY}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": track},
        "template": {"metadata": {"labels": track}},
    }
    return [
        _delete({"kind": "Service|HorizontalPodAutoscaler|PodDisruptionBudget|Ingress"}),
        _merge({"metadata": {"labels": track}, "spec": spec}),
        _replace({"kind": "Deployment"}, {"/metadata/name": deployment_name(name, CANARY)}),
    ]


def _deployment(workload: Workload) -> Patch:
    """What a release sets in its Deployment, whichever track."""
    settings, identity = workload.settings, workload.identity
    about = {
        "labels": {"app.kubernetes.io/version": identity.version},
        "annotations": identity.fields(PREFIX),
    }
    container = {
        "name": "server",
        "image": workload.image,
        "resources": settings.resources.model_dump(),
        "startupProbe": {"failureThreshold": settings.start_seconds},
    }
    spec = {
        "progressDeadlineSeconds": settings.start_seconds + SPARE_SECONDS,
        "template": {"metadata": about, "spec": {"containers": [container]}},
    }
    return _merge({"metadata": about, "spec": spec})


def _replicas(settings: Kubernetes, environment: str) -> Replicas:
    found = getattr(settings.replicas, environment, None)
    if not isinstance(found, Replicas):
        raise unknown_environment(environment, type(settings.replicas).model_fields)
    return found


def _component(k8s: Path, name: str) -> Path:
    path = k8s / "components" / name
    if not (path / "kustomization.yaml").is_file():
        known = sorted(each.parent.name for each in path.parent.glob("*/kustomization.yaml"))
        raise UsageError(
            f"component {name!r} of kubernetes.components",
            expected=" or ".join(known),
            next_step=f"correct it, or add {path}",
        )
    return path


def _relative(path: Path, start: Path) -> str:
    """The path from `start`, as kustomize wants it: not absolute, symbolic links resolved."""
    return os.path.relpath(path.resolve(), start.resolve())


def _merge(content: Patch) -> Patch:
    """A strategic merge into the Deployment, whatever its name is by now."""
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, **content}
    patch["metadata"] = {"name": "any", **patch["metadata"]}
    return {"target": {"kind": "Deployment"}, "patch": json.dumps(patch, ensure_ascii=False)}


def _replace(target: Mapping[str, str], values: Mapping[str, Any]) -> Patch:
    """A JSON patch (RFC 6902) that puts values where the base has others."""
    operations = [{"op": "replace", "path": path, "value": values[path]} for path in values]
    return {"target": dict(target), "patch": json.dumps(operations)}


def _delete(target: Mapping[str, str]) -> Patch:
    """Drop the resources that `target` selects."""
    patch = {"$patch": "delete", "apiVersion": "v1", "kind": "Any", "metadata": {"name": "any"}}
    return {"target": dict(target), "patch": json.dumps(patch)}
