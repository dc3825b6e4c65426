"""Move an alias of a model as safely as the champion's: fenced, read back, kept in the ledger."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report, Table
from model_release.workspace import Workspace


def move(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Move the alias and say what it pointed to."""
    from model_release.errors import UsageError
    from model_release.operations.transition_alias import transition_alias

    if not arguments.model_version:
        raise UsageError(
            "model version",
            expected="--model-version",
            found="none",
            next_step="name the version that the alias shall point to",
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
        "Point an alias to a version, if it points to what it is expected to point to.",
        commands.script(
            "transition_alias",
            model_name="iris-classifier",
            alias="challenger",
            model_version="2",
            expected="none",
        ),
    )
    options.add_argument("--alias", required=True, help="such as challenger")
    options.add_argument(
        "--expected",
        metavar="VERSION",
        help="what it points to now, or none; else what the ledger says",
    )
    options.add_argument("--reason", default="", help="for the ledger")
    return cli.run(options, argv, move)


if __name__ == "__main__":
    raise SystemExit(main())
