"""Station deploy: a built release serves in staging or production."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_release import cli, commands
from model_release.errors import UsageError
from model_release.github.outputs import tell_workflow
from model_release.report import Report, Table
from model_release.workspace import Workspace

if TYPE_CHECKING:
    from model_release.targets import Target


def deploy(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Deploy the release and report what serves now."""
    from model_release.stations.deploy_model import deploy_model

    target = cli.target(arguments, workspace)
    if arguments.dry_run or arguments.diff:
        return preview(arguments, workspace, target)
    release, running = deploy_model(
        workspace,
        cli.release(arguments, workspace),
        arguments.environment,
        target,
        cli.approval(arguments, workspace, target),
    )
    tell_workflow(url=running.url)
    facts = {
        "environment": arguments.environment,
        **running.identity.fields(),
        "url": running.url,
    }
    return Report(
        title=f"{release.model} {release.version} in {arguments.environment}",
        outcome="passed",
        tables=[Table("Deployment", ("what", "value"), list(facts.items())), *running.measured],
        data=facts,
    )


def preview(arguments: argparse.Namespace, workspace: Workspace, target: "Target") -> Report:
    """Report what a deploy would change; exit code 0 if the cluster would admit it."""
    from model_release.stations.deploy_model import prepared

    if not target.runs_images:
        raise UsageError(
            f"--dry-run and --diff on target {target.name}",
            expected="the target kubernetes, which has manifests",
            next_step="add --target kubernetes",
        )
    release = cli.release(arguments, workspace)
    diff = target.diff(arguments.environment, prepared(workspace, release, target))
    return Report(
        title=f"{release.model} {release.version} in {arguments.environment}, nothing was changed",
        outcome="would be admitted",
        tables=[Table("Changes", ("objects",), [(diff.summary,)])],
        lines=[
            *(f"taken away: {each}" for each in diff.added),
            *(diff.text.splitlines() * arguments.diff),
        ],
        data={
            "environment": arguments.environment,
            "release": release.id,
            "diff": diff.text,
            "added_by_hand": list(diff.added),
        },
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the release serves, or would be admitted."""
    options = cli.parser(
        "Deploy a built release to an environment.",
        commands.script(
            "deploy_model", environment="staging", model_name="iris-classifier", model_version="1"
        ),
    )
    options.add_argument(
        "--environment",
        choices=("staging", "production"),
        required=True,
        help="the environment to deploy to",
    )
    options.add_argument(
        "--dry-run",
        action="store_true",
        help="let the cluster check every object, and change nothing",
    )
    options.add_argument(
        "--diff",
        action="store_true",
        help="change nothing, and show every change that there would be",
    )
    cli.add_release(options)
    cli.add_deploy_options(options)
    return cli.run(options, argv, deploy)


if __name__ == "__main__":
    raise SystemExit(main())
