"""The setup of a repository on GitHub for releases: shown as changes, made with --apply."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def setup(arguments: argparse.Namespace, _: Workspace) -> Report:
    """Compare the repository with what it should be; with --apply change it."""
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
    """Exit code 0 when the repository is as it should be, or the changes were shown."""
    options = cli.parser(
        "Create environments, reviewers, branch rules and variables; list the missing secrets.",
        commands.script(
            "setup_github",
            repository="owner/name",
            reviewer="octocat",
            tracking_uri="https://mlflow.example.com",
            apply=True,
        ),
        model=False,
    )
    cli.add_env(options, "--repository", "GITHUB_REPOSITORY", "the repository, as owner/name")
    options.add_argument(
        "--reviewer",
        action="append",
        default=[],
        metavar="LOGIN",
        help="the login of a person who may approve production; may be given several times",
    )
    options.add_argument(
        "--branch", default="", help="the branch that may deploy; the default branch if empty"
    )
    options.add_argument(
        "--variable",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one more variable of the repository; may be given several times",
    )
    options.add_argument(
        "--apply", action="store_true", help="make the changes; without it they are only shown"
    )
    return cli.run(options, argv, setup)


if __name__ == "__main__":
    raise SystemExit(main())
