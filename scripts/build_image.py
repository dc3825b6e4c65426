"""Station build: the build context and the environment lock of a validated release."""

import argparse
from collections.abc import Sequence

from model_release import cli
from model_release.report import Report, Table
from model_release.workspace import Workspace


def build(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Make the context; say where it is and what it holds."""
    from model_release.stations.build import build as build_context

    release, context = build_context(workspace, cli.release(arguments, workspace))
    facts = {
        "release": release.id,
        "model": release.model,
        "version": release.version,
        "model digest": release.digest,
        "context": str(context.path),
        "context digest": context.digest,
        "lock": release.tags["release.lock"],
    }
    return Report(
        title=f"build context of {release.model} {release.version}",
        outcome="passed",
        tables=[Table("Context", ("what", "value"), list(facts.items()))],
        data={key.replace(" ", "_"): value for key, value in facts.items()},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the context holds what was validated."""
    options = cli.parser(
        "Make the build context of a validated model version.",
        "python scripts/build_image.py --model-name iris-classifier --model-version 1",
    )
    return cli.run(options, argv, build)


if __name__ == "__main__":
    raise SystemExit(main())
