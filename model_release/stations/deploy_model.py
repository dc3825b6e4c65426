"""Stations deploy-staging and deploy-production: the release serves, or all is as before."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from model_release import commands
from model_release.digest import model_digest
from model_release.errors import RefusedError, UsageError
from model_release.identity import PREFIX, short_id
from model_release.image import docker, signing
from model_release.processes import environments, logged_with
from model_release.releases import Release, names
from model_release.report import DetailedError, Report, Table
from model_release.report.render import render
from model_release.stations.approve_model import Approval, approve
from model_release.stations.smoke_test import probe
from model_release.targets import Deployment, Running, Target
from model_release.workspace import Workspace

DIGEST_LABEL = f"{PREFIX}digest"


def deploy_model(
    workspace: Workspace,
    release: Release,
    environment: str,
    target: Target,
    approval: Approval,
) -> tuple[Release, Running]:
    """Make a release serve in `environment`; production needs an approval first.

    The new server answers the smoke suite before it gets the environment's address. The same
    release again is a no-op.

    Raises:
        UsageError: an earlier station is missing.
        RefusedError: no approval, or the server does not answer as the validated model did.
        OutsideError: the server does not start, its port is taken, and the like.
    """
    next_station = "approve" if environment == "production" else "deploy-staging"
    release.require_before(next_station, target.name)
    deployment = prepared(workspace, release, target)
    if environment == "production":
        if target.runs_images:
            signer = signing.Signing.from_environment(os.environ)
            signer.verify_report(deployment.image, release.report.text)
        release = approve(release, approval)
    workspace.progress.station(f"deploy to {environment}", f"{release.model} {release.version}")
    verify = probe(workspace, release)
    station = f"deploy-{environment}"
    try:
        running = target.deploy(environment, deployment, workspace.progress.step, verify)
    except DetailedError as error:
        if not release.passed(station):
            evidence = _evidence(str(error), "refused", error.tables)
            release.record(station, "refused", evidence=evidence)
        raise
    if not release.passed(station):
        evidence = _evidence(str(running.identity), "passed", running.measured)
        evidence |= {names.MANIFEST: target.manifest(environment, deployment)}
        tags = {names.url(station): running.url}
        release = release.record(station, "passed", evidence=evidence, tags=tags)
    return release, running


def prepared(workspace: Workspace, release: Release, target: Target) -> Deployment:
    """The release as its target starts it: an image, or a checked context and its interpreter.

    Raises:
        UsageError: what the target starts was not built.
        RefusedError: somebody changed the context.
    """
    deployment = described(workspace, release)
    if target.runs_images:
        return replace(deployment, image=_image(workspace, release))
    context, python = _context(workspace, release)
    return replace(deployment, context=context, python=python)


def described(workspace: Workspace, release: Release) -> Deployment:
    """The release as its record has it, with nothing looked up elsewhere."""
    return Deployment(
        release.identity,
        image=release.image,
        cases=release.golden,
        tolerances=workspace.config(release.model).gates.golden.tolerances,
    )


def _image(workspace: Workspace, release: Release) -> str:
    """Reference of the release's image by digest: it is in its registry, and signed as configured.

    The cluster pulls by this digest, so what is found here is what will run.
    """
    reference = release.image
    if not reference:
        raise UsageError(
            f"image of release {short_id(release.id)}",
            expected="an image that was built and pushed",
            found="none",
            next_step=f"run {_build(release)}",
        )
    signing.Signing.from_environment(os.environ).verify(reference, release.id, release.seal)
    if shutil.which("docker"):
        _check_image(reference, release)
    else:
        workspace.progress.step("no docker here: the image is not looked up; the cluster pulls it")
    return reference


def _build(release: Release) -> str:
    return commands.station("build", release.model, release.version, push=True)


def _check_image(reference: str, release: Release) -> None:
    """The registry has the image, and it was built of the files that the gates judged."""
    found = docker.labels(reference)
    if found is None:
        raise UsageError(
            f"image {reference}",
            expected="this image in its registry",
            found="no such image",
            next_step=f"run {_build(release)}",
        )
    if (digest := found.get(DIGEST_LABEL)) != release.digest:
        raise RefusedError(
            f"image {reference}",
            expected=f"label {DIGEST_LABEL} {release.digest}, which the gates judged",
            found=digest or "none",
            next_step=f"somebody changed the release's tag {names.IMAGE}; begin a new release: "
            + commands.station("validate", release.model, release.version),
        )


def _context(workspace: Workspace, release: Release) -> tuple[Path, Path]:
    """The context, checked, and the interpreter of its locked environment."""
    context = workspace.context(release.id)
    build = commands.station("build", release.model, release.version)
    if not context.is_dir():
        raise UsageError(
            f"context of release {short_id(release.id)}",
            expected=str(context),
            found="no such folder",
            next_step=f"run {build}",
        )
    if (found := model_digest(context)) != release.context_digest:
        raise RefusedError(
            f"context of release {short_id(release.id)}",
            expected=release.context_digest,
            found=found,
            next_step=f"somebody changed the context; to build it again run {build}",
        )
    python = logged_with.python_minor(context / "model")
    return context, environments.install(context / "requirements.lock", python, workspace.home)


def _evidence(title: str, outcome: str, tables: Sequence[Table]) -> dict[str, str]:
    """What the release keeps of a rollout: its tables as Markdown, nothing where there are none."""
    if not tables:
        return {}
    return {"rollout.md": render(Report(title, outcome, tables=tables), "markdown")}
