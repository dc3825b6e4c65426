"""The whole release: validate, build, staging, smoke, production, champion."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def release(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Release the version; the example is trained first if the registry has no version of it."""
    from model_release.operations.train_example import train_if_missing
    from model_release.stations.build_image import ImageSettings
    from model_release.stations.run_release import run_release

    # At once: until the registry is open there would be nothing to see for over a second.
    newest = f"the newest version of {arguments.model_name}"
    version = arguments.model_version
    workspace.progress.station(
        "release", f"{arguments.model_name} {version}" if version else newest
    )
    train_if_missing(workspace, arguments.model_name)
    target = cli.target(arguments, workspace)
    return run_release(
        workspace,
        arguments.model_name,
        arguments.model_version,
        target,
        cli.approval(arguments, workspace, target),
        ImageSettings(arguments.image_registry, arguments.base_image, push=True),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the version is champion and serves in production."""
    options = cli.parser(
        "Take a model version from the registry to champion, station by station.",
        commands.script("run_release", model_name="iris-classifier", model_version="1"),
    )
    cli.add_deploy_options(options)
    cli.add_image_options(options)
    return cli.run(options, argv, release)


if __name__ == "__main__":
    raise SystemExit(main())
