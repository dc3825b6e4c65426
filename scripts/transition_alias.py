"""The safe move of an alias other than champion: checked before and after, kept in the ledger."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report, Table
from model_release.workspace import Workspace


def move(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Move the alias and report what it pointed to."""
    from model_release.errors import UsageError
    from model_release.operations.transition_alias import transition_alias

    if not arguments.model_version:
        raise UsageError(
            "model version",
            expected="--model-version",
            found="none",
            next_step="give --model-version with the number of the version",
        )
    expected = arguments.expected
    entry = transition_alias(
        workspace,
        arguments.model_name,
        arguments.alias,
        arguments.model_version,
        expected="" if expected == "none" else expected,
        reason=arguments.reason,
    )
    facts = {
        "model": arguments.model_name,
        "alias": entry.alias,
        "version": entry.after,
        "before": entry.before or "none",
        "decided": entry.at,
        "by": entry.by,
    }
    return Report(
        title=f"{entry.alias} of {arguments.model_name} is version {entry.after}",
        outcome="passed",
        tables=[Table("Alias", ("what", "value"), list(facts.items()))],
        data=facts,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the alias points to the version, 1 when somebody else moved it."""
    options = cli.parser(
        "Point an alias to a version, but only if it still points to the expected one.",
        commands.script(
            "transition_alias",
            model_name="iris-classifier",
            alias="challenger",
            model_version="2",
            expected="none",
        ),
    )
    options.add_argument("--alias", required=True, help="the alias to move, such as challenger")
    options.add_argument(
        "--expected",
        metavar="VERSION",
        help="the version that the alias points to now, or none; what the ledger says if not given",
    )
    options.add_argument("--reason", default="", help="the reason, which is kept in the ledger")
    return cli.run(options, argv, move)


if __name__ == "__main__":
    raise SystemExit(main())
