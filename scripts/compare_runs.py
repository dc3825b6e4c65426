"""Training runs side by side, the best first; --register makes the best one a model version."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from model_release import cli, commands
from model_release.report import Report
from model_release.workspace import Workspace


def compare(arguments: argparse.Namespace, workspace: Workspace) -> Report:
    """Search and compare; plot and register if the options say so."""
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
        "Compare training runs: parameters and metrics side by side, the best first.",
        commands.script(
            "compare_runs",
            experiment="iris-classifier",
            metric="accuracy",
            filter="metrics.accuracy > 0.9",
            register="iris-classifier",
        ),
        model=False,
    )
    options.add_argument(
        "--experiment",
        action="append",
        required=True,
        help="the name of an experiment whose runs are compared; may be given several times",
    )
    options.add_argument("--metric", required=True, help="the metric that decides which is best")
    options.add_argument(
        "--better",
        choices=("higher", "lower"),
        help="which values of the metric are better; decided by its name if not given",
    )
    options.add_argument(
        "--filter", default="", help="a filter for runs in MLflow's syntax, see the example below"
    )
    options.add_argument(
        "--order-by",
        action="append",
        default=[],
        help="the order in MLflow's syntax in which runs are found; the best first if not given",
    )
    options.add_argument(
        "--limit", type=int, default=10, help="the largest number of runs to compare (10)"
    )
    options.add_argument(
        "--varying", action="store_true", help="leave out rows in which all runs are equal"
    )
    options.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="write bar charts to this folder, as PNG"
    )
    options.add_argument(
        "--register", default="", metavar="MODEL", help="register the best run's model as this one"
    )
    return cli.run(options, argv, compare)


if __name__ == "__main__":
    raise SystemExit(main())
