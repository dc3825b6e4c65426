"""Station approve, in a workflow: who let the release into production, as GitHub says."""

import argparse
import os
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report, Table
from model_release.workspace import Workspace


def approve(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Read the approvals of this run, check them by the model's rules, record them."""
    from model_release.github import GitHub
    from model_release.stations.approve_release import Trust, approve_release

    production = workspace.config(arguments.model_name).production
    trust = Trust(
        separate=production.separate_people,
        required=arguments.protection != "optional",
        trainers=production.trainers,
    )
    release = cli.release(arguments, workspace)
    github = GitHub.from_environment(os.environ)
    release = approve_release(release, github, os.environ.get("GITHUB_RUN_ID", ""), trust)
    names = ("by", "how", "dispatcher", "trainer", "comment", "run")
    facts = {name: getattr(release.approved, name) for name in names}
    rows = [(name, value) for name, value in facts.items() if value]
    return Report(
        title=f"approval of {release.model} {release.version}",
        outcome="passed",
        tables=[Table("Approval", ("what", "value"), rows)],
        data={"release": release.id, **facts},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when somebody approved who may."""
    options = cli.parser(
        "Record who approved this run's deployment to production on GitHub.",
        commands.script("approve_release", model_name="iris-classifier", model_version="1"),
    )
    cli.add_release(options)
    cli.add_protection(options)
    return cli.run(options, argv, approve)


if __name__ == "__main__":
    raise SystemExit(main())
