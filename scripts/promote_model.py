"""Station promote: the version that production serves becomes champion."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report, Table
from model_release.workspace import Workspace


def promote(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Move the alias and say what it pointed to."""
    from model_release.stations.promote_model import promote_model

    target = cli.target(arguments, workspace)
    release = promote_model(cli.release(arguments, workspace), target)
    undo = commands.rollback(release.model, target=target.name)
    facts = {
        "model": release.model,
        "champion": release.version,
        "before": release.champion or "none",
        "digest": release.digest,
        "release": release.id,
        "since": release.champion_since,
    }
    return Report(
        title=f"{release.model} {release.version} is champion",
        outcome="passed",
        tables=[Table("Champion", ("what", "value"), list(facts.items()))],
        lines=["if it is wrong:", f"  {undo}"],
        data=facts | {"rollback": undo},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the alias points to the version that serves."""
    options = cli.parser(
        "Make the version that production serves the champion.",
        commands.script("promote_model", model_name="iris-classifier", model_version="1"),
    )
    cli.add_release(options)
    cli.add_target(options)
    return cli.run(options, argv, promote)


if __name__ == "__main__":
    raise SystemExit(main())
