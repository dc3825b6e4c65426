"""The image of a release: built from its context, pushed, signed, with its SBOM."""

import os
from dataclasses import dataclass

from model_release import ROOT, commands
from model_release.errors import RefusedError, UsageError
from model_release.identity import PREFIX, short_id, slug
from model_release.image import docker, signing
from model_release.image.context import Context
from model_release.image.docker import Order
from model_release.image.sbom import bill_of_materials
from model_release.processes.tools import call
from model_release.releases import Release, names
from model_release.workspace import Workspace

DEFAULT_BASE = "docker.io/library/python:{python}-slim-bookworm"
GIT_SECONDS = 30.0
INSTRUCTIONS = ("serving", "Dockerfile.mlflow-serve")
"""What of the checkout becomes part of the image."""


@dataclass(frozen=True)
class ImageSettings:
    """Where the image goes and what it stands on.

    Args:
        registry: host and path, such as `ghcr.io/owner`.
        base: base image; empty for Python's own slim one. A tag is resolved to its digest.
        push: whether it is pushed, and signed where cosign is configured.
    """

    registry: str
    base: str = ""
    push: bool = False


@dataclass(frozen=True)
class Image:
    """What was built. `reference` is by digest if it was pushed, else the engine's name for it."""

    reference: str
    digest: str
    base: str
    unpacked_bytes: int | None
    compressed_bytes: int | None


def build_image(
    workspace: Workspace, release: Release, context: Context, wanted: ImageSettings
) -> tuple[Release, Image]:
    """Build the image of a release, or find it in the registry; push, sign and record it.

    The image of a release never changes: what its release has recorded is what it gets again, or
    the build is refused before anything is pushed.

    Raises:
        RefusedError: the model is another one or does not load; the image is signed by nobody
            known; the image is not the one that the release has recorded.
        UsageError: no registry, or a base image that cannot be used.
        OutsideError: docker, registry, cosign, package index or disk.
    """
    signer = _signer(wanted)
    workspace.progress.station("image", f"{release.model} {release.version}")
    repository = f"{wanted.registry.rstrip('/').lower()}/{slug(release.model)}"
    recorded = release.image_digest
    reference = f"{repository}@{recorded}"
    if wanted.push and reference == release.image and docker.pushed(reference):
        signer.verify(reference, release.id, release.seal)
        workspace.progress.step(f"the registry has it: {reference}")
        return release, _image(reference, release.base_image, pushed=True)
    order = _order(release, context, repository, wanted.base)
    if recorded or not wanted.push:
        digest = docker.build(order, push=False, progress=workspace.progress.step)
        _expect(recorded or digest, digest)
    if not wanted.push:
        return release, _image(order.name, order.base, pushed=False, digest=digest)
    digest = docker.build(order, push=True, progress=workspace.progress.step)
    reference = f"{repository}@{digest}"
    workspace.progress.step(f"pushed {reference}")
    return _record(workspace, release, order, reference, signer)


def _signer(wanted: ImageSettings) -> signing.Signing:
    """How the wanted image is signed.

    Raises:
        UsageError: no registry, or an image that has to be signed by a key that is not here.
    """
    if not wanted.registry or wanted.registry == commands.REGISTRY:
        raise UsageError(
            "registry of the image",
            expected="a registry and path, such as ghcr.io/owner",
            found=wanted.registry or "none",
            next_step="give --image-registry, or set IMAGE_REGISTRY",
        )
    signer = signing.Signing.from_environment(os.environ)
    if wanted.push and signer.verifies and not signer.signs:
        raise UsageError(
            "signing of the pushed image",
            expected="COSIGN_KEY, or COSIGN_IDENTITY and COSIGN_ISSUER without a key",
            found="only COSIGN_PUBLIC_KEY, which verifies and cannot sign",
            next_step="set COSIGN_KEY, or unset COSIGN_PUBLIC_KEY",
        )
    return signer


def _record(
    workspace: Workspace,
    release: Release,
    order: Order,
    reference: str,
    signer: signing.Signing,
) -> tuple[Release, Image]:
    """Sign, then let the release know: an image that it names is one that is complete."""
    text = bill_of_materials(
        release.lock,
        release.identity,
        order.base,
        release.ended("validate"),
    )
    with workspace.scratch() as folder:
        sbom = folder / names.SBOM
        sbom.write_text(text, encoding="utf-8")
        if signer.signs:
            report = folder / names.REPORT
            report.write_text(release.report.text, encoding="utf-8")
            signer.sign(reference, release.id, release.seal, sbom)
            signer.attest_report(reference, report)
            workspace.progress.step("signed, its SBOM and gate report attested")
        signer.verify(reference, release.id, release.seal)
    made = _image(reference, order.base, pushed=True)
    revision = order.labels.get("org.opencontainers.image.revision", "")
    recorded = release.record(
        "build",
        "passed",
        evidence={names.SBOM: text},
        metrics={"image.compressed_bytes": float(made.compressed_bytes or 0)},
        tags={
            names.IMAGE: reference,
            names.IMAGE_DIGEST: made.digest,
            names.BASE_IMAGE: order.base,
            names.COMMIT: revision,
            names.SIGNED_BY: signer.signer,
        },
    )
    return recorded, made


def _expect(recorded: str, digest: str) -> None:
    if digest != recorded:
        raise RefusedError(
            "image of the release, built a second time",
            expected=recorded,
            found=digest,
            next_step="put the recorded image back into the registry, or validate the version "
            "again, which begins a new release",
        )


def _order(release: Release, context: Context, repository: str, base: str) -> Order:
    """What is to be built: as it was the first time where the release says how that was."""
    lock = (context.path / "requirements.lock").read_text("utf-8")
    usual = DEFAULT_BASE.format(python=docker.platform(lock).python)
    resolved = release.base_image or docker.resolve(base or usual)
    name, _, digest = resolved.partition("@")
    labels = {
        "org.opencontainers.image.title": release.model,
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.created": release.ended("validate"),
        "org.opencontainers.image.revision": release.commit or _revision(),
        "org.opencontainers.image.base.name": name,
        "org.opencontainers.image.base.digest": digest,
        **release.identity.fields(PREFIX),
    }
    return Order(
        context=context.path,
        repository=repository,
        tag=f"{release.version}-{short_id(release.id)}",
        base=resolved,
        digest=release.digest,
        labels=labels,
    )


def _revision() -> str:
    """Commit of this checkout; `-dirty` where what goes into the image differs from it."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--", *INSTRUCTIONS)
    return f"{commit}-dirty" if changed else commit or "unknown"


def _git(*arguments: str) -> str:
    done = call(["git", "-C", str(ROOT), *arguments], seconds=GIT_SECONDS)
    return done.out.strip() if done.code == 0 else ""


def _image(reference: str, base: str, *, pushed: bool, digest: str = "") -> Image:
    return Image(
        reference=reference,
        digest=digest or reference.partition("@")[2],
        base=base,
        unpacked_bytes=docker.unpacked_bytes(reference),
        compressed_bytes=docker.compressed_bytes(reference) if pushed else None,
    )
