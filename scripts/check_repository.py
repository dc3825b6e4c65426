"""The first check of a release on GitHub: the repository is set up and production protected."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def check(arguments: argparse.Namespace, _: Workspace) -> Report:
    """Refuse a release into an environment that anybody could release into alone."""
    from model_release.operations.check_repository import check_repository

    return check_repository(
        arguments.model_name,
        arguments.model_version,
        arguments.tracking_uri,
        up_to=arguments.up_to,
        protection=arguments.protection,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when a release may begin."""
    options = cli.parser(
        "Check names, the registry's address and the protection of production on GitHub.",
        commands.script("check_repository", model_name="iris-classifier", model_version="1"),
    )
    cli.add_env(options, "--up-to", "UP_TO", "the last environment of the release", "production")
    cli.add_protection(options)
    return cli.run(options, argv, check)


if __name__ == "__main__":
    raise SystemExit(main())
