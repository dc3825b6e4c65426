"""The page of a release, which the approver reads; also kept as HTML on the release's run."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def describe(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Make the page; show it in the job summary and where it was asked for."""
    from model_release.operations.describe_release import describe_release

    release = cli.release(arguments, workspace)
    described = describe_release(workspace, release, cli.target(arguments, workspace))
    if arguments.html:
        arguments.html.write_text(described.html, encoding="utf-8")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(described.markdown + "\n")
    return Report(
        title=f"page of {release.model} {release.version}",
        outcome="passed",
        lines=[described.page.lead, f"page/release.html of run {release.id}"],
        data={"release": release.id, "lead": described.page.lead},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the page is made, whatever stands on it."""
    options = cli.parser(
        "Make the page of a release, for the approver and for the record.",
        commands.script("describe_release", model_name="iris-classifier", html="page.html"),
    )
    cli.add_release(options)
    cli.add_target(options)
    options.add_argument(
        "--html", type=Path, metavar="FILE", help="also write the page to this file"
    )
    return cli.run(options, argv, describe)


if __name__ == "__main__":
    raise SystemExit(main())
