"""Runs side by side, the best first; --register makes the best one a model version."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def compare(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Search, compare, plot, register: as asked for."""
    from model_release.operations.compare_runs import Question, compare_runs

    question = Question(
        experiments=arguments.experiment,
        metric=arguments.metric,
        lower={"lower": True, "higher": False}.get(arguments.better),
        filter_string=arguments.filter,
        order_by=arguments.order_by,
        limit=arguments.limit,
        varying=arguments.varying,
    )
    return compare_runs(workspace, question, plots=arguments.plots, register=arguments.register)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when runs were found, and the best registered if that was asked for."""
    options = cli.parser(
        "Compare runs: parameters and metrics side by side, the best first.",
        commands.script(
            "compare_runs",
            experiment="iris-classifier",
            metric="accuracy",
            filter="metrics.accuracy > 0.9",
            register="iris-classifier",
        ),
        model=False,
    )
    options.add_argument("--experiment", action="append", required=True, help="may be repeated")
    options.add_argument("--metric", required=True, help="what the best one is best at")
    options.add_argument(
        "--better", choices=("higher", "lower"), help="which values are better; else by its name"
    )
    options.add_argument("--filter", default="", help="MLflow's, such as metrics.accuracy > 0.9")
    options.add_argument(
        "--order-by", action="append", default=[], help="MLflow's; best first if not given"
    )
    options.add_argument("--limit", type=int, default=10, help="of runs (10)")
    options.add_argument("--varying", action="store_true", help="leave out what all have in common")
    options.add_argument("--plots", type=Path, metavar="FOLDER", help="for bar charts, as PNG")
    options.add_argument("--register", default="", metavar="MODEL", help="to make it a version of")
    return cli.run(options, argv, compare)


if __name__ == "__main__":
    raise SystemExit(main())
