"""Station deploy: a built release serves in staging or production."""

import argparse
from collections.abc import Sequence

from model_release import cli
from model_release.report import Report, Table
from model_release.workspace import Workspace


def deploy(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Deploy and say what serves now."""
    from model_release.stations.deploy import deploy as deploy_release

    target = cli.target(arguments, workspace)
    release, running = deploy_release(
        workspace,
        cli.release(arguments, workspace),
        arguments.environment,
        target,
        cli.approval(arguments, workspace, target),
    )
    facts = {
        "environment": arguments.environment,
        "model": running.model,
        "version": running.version,
        "digest": running.digest,
        "release": release.id,
        "url": running.url,
    }
    return Report(
        title=f"{release.model} {release.version} in {arguments.environment}",
        outcome="passed",
        tables=[Table("Deployment", ("what", "value"), list(facts.items()))],
        data=facts,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the release serves."""
    options = cli.parser(
        "Make a built release serve in an environment.",
        "python scripts/deploy_model.py --environment staging --model-name iris-classifier "
        "--model-version 1",
    )
    options.add_argument("--environment", choices=("staging", "production"), required=True)
    cli.add_deploy_options(options)
    return cli.run(options, argv, deploy)


if __name__ == "__main__":
    raise SystemExit(main())
