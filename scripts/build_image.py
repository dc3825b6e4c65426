"""Station build: the build context of a validated release, and its image if a registry is named."""

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_release import cli, commands
from model_release.github.outputs import tell_workflow
from model_release.report import Report, Table
from model_release.workspace import Workspace

if TYPE_CHECKING:
    from model_release.releases import Release
    from model_release.stations.build_image import Image

MIB = 1024 * 1024


def build(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Make the context, and the image if a registry is named; say where they are."""
    from model_release.image.context import build_context
    from model_release.stations.build_image import ImageSettings, build_image

    release = _release(arguments, workspace)
    begun = time.monotonic()
    release, context = build_context(workspace, release)
    seconds = {"context": time.monotonic() - begun}
    facts = {
        "release": release.id,
        "model": release.model,
        "version": release.version,
        "model digest": release.digest,
        "context": str(context.path),
        "context digest": context.digest,
        "lock": release.lock_digest,
    }
    image = None
    if arguments.push or arguments.image_registry:
        begun = time.monotonic()
        wanted = ImageSettings(arguments.image_registry, arguments.base_image, arguments.push)
        release, image = build_image(workspace, release, context, wanted)
        seconds["image"] = time.monotonic() - begun
        facts |= _facts(image)
        # Not the reference: account ids in it look like secrets, and GitHub drops those.
        tell_workflow(digest=image.digest)
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


def _release(arguments: argparse.Namespace, workspace: Workspace) -> "Release":
    """The release that the options name; with --validate validated first."""
    if arguments.release or not arguments.validate:
        return cli.release(arguments, workspace)
    from model_release.operations.train_example import train_if_missing
    from model_release.stations.run_release import validated

    train_if_missing(workspace, arguments.model_name)
    found = workspace.registry.version(arguments.model_name, arguments.model_version)
    return validated(workspace, found.name, found.version)


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


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when context and image hold what was validated."""
    options = cli.parser(
        "Make the build context of a validated model version; with a registry, its image as well.",
        commands.script(
            "build_image",
            model_name="iris-classifier",
            model_version="1",
            image_registry="ghcr.io/owner",
            push=True,
        ),
    )
    cli.add_release(options)
    cli.add_image_options(options)
    options.add_argument(
        "--push", action="store_true", help="push the image, and sign it if cosign is configured"
    )
    options.add_argument(
        "--validate",
        action="store_true",
        help="validate the version first if it was not; train the example if there is none",
    )
    return cli.run(options, argv, build)


if __name__ == "__main__":
    raise SystemExit(main())
