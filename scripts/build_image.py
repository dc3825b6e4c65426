"""Station build: the build context of a validated release, and its image where one is wanted."""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_release import cli
from model_release.report import Report, Table
from model_release.workspace import Workspace

if TYPE_CHECKING:
    from model_release.stations.image import Image

MIB = 1024 * 1024


def build(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Make the context, and the image if a registry is named; say where they are."""
    from model_release.stations.build import build as build_context
    from model_release.stations.image import Wanted, build_image

    begun = time.monotonic()
    release, context = build_context(workspace, cli.release(arguments, workspace))
    seconds = {"context": time.monotonic() - begun}
    facts = {
        "release": release.id,
        "model": release.model,
        "version": release.version,
        "model digest": release.digest,
        "context": str(context.path),
        "context digest": context.digest,
        "lock": release.tags["release.lock"],
    }
    image = None
    if arguments.push or arguments.image_registry:
        begun = time.monotonic()
        wanted = Wanted(arguments.image_registry, arguments.base_image, arguments.push)
        release, image = build_image(workspace, release, context, wanted)
        seconds["image"] = time.monotonic() - begun
        facts |= _facts(image)
        _tell_workflow(release.id, image.digest)
    return Report(
        title=f"{'image' if image else 'build context'} of {release.model} {release.version}",
        outcome="passed",
        tables=[
            Table("Result", ("what", "value"), list(facts.items())),
            Table("Times", ("part", "s"), [(name, f"{s:.1f}") for name, s in seconds.items()]),
        ],
        data={key.replace(" ", "_"): value for key, value in facts.items()}
        | ({"size": _size(image)} if image else {})
        | {"seconds": {name: round(took, 3) for name, took in seconds.items()}},
    )


def _facts(image: "Image") -> dict[str, str]:
    sizes = [f"{round(size / MIB)} MiB {name}" for name, size in _size(image).items() if size]
    return {
        "image": image.reference,
        "image digest": image.digest,
        "base image": image.base,
        "image size": ", ".join(sizes).replace("_bytes", ""),
    }


def _size(image: "Image") -> dict[str, int | None]:
    """Bytes of the layers, those of the base included."""
    return {
        "unpacked_bytes": image.unpacked_bytes,
        "compressed_bytes": image.compressed_bytes,
    }


def _tell_workflow(release: str, digest: str) -> None:
    """Leave the digest for later jobs. Not the reference: account ids in it look like secrets."""
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"release={release}\ndigest={digest}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when context and image hold what was validated."""
    options = cli.parser(
        "Make the build context of a validated model version; with a registry, its image as well.",
        "python scripts/build_image.py --model-name iris-classifier --model-version 1 "
        "--image-registry ghcr.io/owner --push",
    )
    cli.add_env(
        options,
        "--image-registry",
        "IMAGE_REGISTRY",
        "host and path of the image, such as ghcr.io/owner; no image if not given",
    )
    cli.add_env(
        options,
        "--base-image",
        "BASE_IMAGE",
        "base, best by digest; python:3.x-slim-bookworm if not given",
    )
    options.add_argument(
        "--push", action="store_true", help="push the image, sign it where cosign is configured"
    )
    return cli.run(options, argv, build)


if __name__ == "__main__":
    raise SystemExit(main())
