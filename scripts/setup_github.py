"""Set a repository on GitHub up for releases: shows what would change, --apply changes it."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def setup(arguments: argparse.Namespace, _: Workspace) -> Report:
    """Compare what is with what should be; change it where that was asked for."""
    from model_release.operations.setup_github import setup_github

    return setup_github(
        arguments.repository,
        arguments.tracking_uri,
        arguments.reviewer,
        arguments.branch,
        arguments.variable,
        apply=arguments.apply,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the repository is as it should be, or what would change was shown."""
    options = cli.parser(
        "Create environments, reviewers, branch rules and variables; name the missing secrets.",
        commands.script(
            "setup_github",
            repository="owner/name",
            reviewer="octocat",
            tracking_uri="https://mlflow.example.com",
            apply=True,
        ),
        model=False,
    )
    cli.add_env(options, "--repository", "GITHUB_REPOSITORY", "owner/name")
    options.add_argument(
        "--reviewer", action="append", default=[], metavar="LOGIN", help="approves production"
    )
    options.add_argument(
        "--branch", default="", help="what may deploy; the default branch if empty"
    )
    options.add_argument(
        "--variable", action="append", default=[], metavar="NAME=VALUE", help="one more variable"
    )
    options.add_argument("--apply", action="store_true", help="change it")
    return cli.run(options, argv, setup)


if __name__ == "__main__":
    raise SystemExit(main())
