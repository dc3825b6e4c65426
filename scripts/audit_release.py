"""The audit: every difference between ledger, aliases, files, images and servers, and its fix."""

import argparse
import os
from collections.abc import Sequence

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def audit(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Compare; with --fix repair what is safe to fix; say what is left."""
    from model_release.operations.audit_release import Audit
    from model_release.registry import check_name
    from model_release.releases import ledger

    name = arguments.model
    names = [check_name(name)] if name else ledger.models_with_ledger(workspace.registry)
    target = cli.target(arguments, workspace)
    return Audit(workspace, target, arguments.grace).report(names, fix=arguments.fix)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when all is as the ledger says, 1 when a difference is left."""
    options = cli.parser(
        "Compare ledger, aliases, files, images and servers; say how to fix each one.",
        commands.script("audit_release", target="kubernetes", format="json"),
        model=False,
    )
    options.add_argument(
        "--model-name",
        dest="model",
        default=os.environ.get("MODEL_NAME", ""),
        metavar="MODEL_NAME",
        help="the model's registered name; every released model if empty (environment: MODEL_NAME)",
    )
    options.add_argument("--fix", action="store_true", help="repair what is safe to fix")
    options.add_argument(
        "--grace",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="the time a move of an alias may take before it counts as a difference (600)",
    )
    cli.add_target(options)
    return cli.run(options, argv, audit)


if __name__ == "__main__":
    raise SystemExit(main())
