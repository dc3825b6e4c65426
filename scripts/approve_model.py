"""The approval of a model version, shown or set: its status, by whom, when and why."""

import argparse
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report, Table
from model_release.workspace import Workspace


def approve(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Approve or reject where that was asked for; show what is written down."""
    from model_release.stations.approve_model import approve_model, shown

    if arguments.status:
        release = cli.release(arguments, workspace)
        approve_model(
            release,
            by=arguments.approve,
            why=arguments.reason,
            approved=arguments.status == "approved",
        )
    facts = shown(workspace.registry, arguments.model_name, arguments.model_version)
    return Report(
        title=f"{facts['model']} {facts['version']}",
        outcome=facts["approval_status"],
        tables=[Table("Approval", ("what", "value"), list(facts.items()))],
        data=facts,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when the approval could be read, and set if that was asked for."""
    options = cli.parser(
        "Show who approved a version, when and why; with --status approve or reject its release.",
        commands.script(
            "approve_model",
            model_name="iris-classifier",
            model_version="2",
            status="approved",
            approve="ada",
            reason="looked at the slices",
        ),
    )
    options.add_argument(
        "--status",
        choices=("approved", "rejected"),
        help="approve or reject the release; only show its approval if not given",
    )
    options.add_argument("--reason", default="", help="the reason, which is kept with the approval")
    cli.add_env(options, "--approve", "RELEASE_APPROVER", "the name of the person who decides")
    cli.add_release(options)
    return cli.run(options, argv, approve)


if __name__ == "__main__":
    raise SystemExit(main())
