"""The rollback: a former champion serves and is champion again; nothing is built."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report, Table
from model_release.workspace import Workspace


def rollback(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Roll back and report what serves now."""
    from model_release.operations.rollback_model import rollback_model

    model = arguments.model_name
    done = rollback_model(
        workspace,
        model,
        cli.target(arguments, workspace),
        reason=arguments.reason,
        version=arguments.model_version,
        release_id=arguments.release,
    )
    facts = {
        "model": model,
        "champion": done.release.version,
        "before": done.entry.before or "none",
        "digest": done.release.digest,
        "release": done.release.id,
        "production": done.running.url,
        "since": done.release.champion_since,
        "by": done.entry.by,
        "reason": done.entry.reason,
    }
    return Report(
        title=f"{model} is back at version {done.release.version}",
        outcome="passed",
        tables=[Table("Rollback", ("what", "value"), list(facts.items()))],
        data=facts,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the former champion serves and has the alias."""
    options = cli.parser(
        "Go back to the previous champion, or to any version or release that was champion once.",
        commands.script("rollback_model", model_name="iris-classifier", reason="wrong answers"),
        version="the number of a former champion; the previous champion if not given",
    )
    cli.add_env(options, "--release", "RELEASE_ID", "the id of a release that was champion once")
    cli.add_env(options, "--reason", "ROLLBACK_REASON", "the reason, which is kept in the ledger")
    cli.add_target(options)
    return cli.run(options, argv, rollback)


if __name__ == "__main__":
    raise SystemExit(main())
