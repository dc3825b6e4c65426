"""Station smoke: a staged release answers as it did when it was validated."""

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from model_release import cli, commands
from model_release.report import Report, Table
from model_release.workspace import Workspace


def smoke(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Run the suite against the address; against staging if none is given."""
    from model_release.stations.smoke_test import smoke_test

    release = cli.release(arguments, workspace)
    release.require_before("smoke", arguments.target)
    if arguments.url:
        place: AbstractContextManager[str] = nullcontext(arguments.url.rstrip("/"))
    else:
        place = cli.target(arguments, workspace).reach("staging", release.model)
    with place as url:
        release, checks = smoke_test(workspace, release, url)
    rows = [(row.name, "passed", row.required, row.found) for row in checks]
    return Report(
        title=f"smoke test of {release.model} {release.version}",
        outcome="passed",
        tables=[Table(url, ("check", "outcome", "required", "found"), rows)],
        data={"release": release.id, "url": url, "checks": rows},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when every check passed."""
    options = cli.parser(
        "Check that a server of a release answers as the validated model did.",
        commands.script("smoke_test", url="http://127.0.0.1:8181", model_name="iris-classifier"),
    )
    cli.add_release(options)
    cli.add_target(options)
    cli.add_env(
        options, "--url", "SMOKE_URL", "the address of the server; that of staging if not given"
    )
    return cli.run(options, argv, smoke)


if __name__ == "__main__":
    raise SystemExit(main())
