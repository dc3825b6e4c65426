"""The comparison of training runs; it can register the best one as a model version."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_release.errors import UsageError
from model_release.operations.ranking import Entrant, is_lower_better, plot, ranked, side_by_side
from model_release.registry import check_name
from model_release.releases.actor import actor
from model_release.report import Report
from model_release.workspace import Workspace


@dataclass(frozen=True)
class Question:
    """Which runs are compared, and how.

    Args:
        experiments: names.
        metric: what the best is best at.
        lower: whether less of it is better; None to go by its name.
        filter_string: MLflow's.
        order_by: MLflow's, which decides what is found where there is more than `limit`.
        limit: how many runs.
        varying: leave out what all runs have in common.
    """

    experiments: Sequence[str]
    metric: str
    lower: bool | None = None
    filter_string: str = ""
    order_by: Sequence[str] = ()
    limit: int = 10
    varying: bool = False


def compare_runs(
    workspace: Workspace, question: Question, *, plots: Path | None = None, register: str = ""
) -> Report:
    """The runs side by side, the best first; `register` makes that one a version of this model.

    Raises:
        UsageError: no run has the metric, or the best has no model to register.
    """
    lower = is_lower_better(question.metric) if question.lower is None else question.lower
    direction = "ASC" if lower else "DESC"
    order = question.order_by or [f"metrics.`{question.metric}` {direction}"]
    found = workspace.registry.search(
        question.experiments, question.filter_string, order, question.limit
    )
    entrants = [
        Entrant(
            run.info.run_id,
            run.info.run_name or "",
            run.data.params,
            run.data.metrics,
            tuple(each.model_id for each in (run.outputs.model_outputs if run.outputs else ())),
        )
        for run in found
    ]
    best_first = ranked(entrants, question.metric, lower=lower)
    if not best_first or question.metric not in best_first[0].metrics:
        raise UsageError(
            f"metric {question.metric!r}",
            expected="a run that logged this metric",
            found=f"{len(entrants)} runs, none of which has it",
            next_step="correct --metric: MLflow shows the metrics of each run; or change --filter",
        )
    best = best_first[0]
    lines = [f"best by {question.metric}: {best.name}, run {best.run_id}"]
    if plots:
        metrics = sorted({name for each in entrants for name in each.metrics})
        lines += [f"plot: {path}" for path in plot(best_first, metrics, plots)]
    version = _register(workspace, best, question, register) if register else None
    if version:
        lines.append(f"registered: {register} {version}")
    return Report(
        title=f"{len(entrants)} runs of {', '.join(question.experiments)}",
        outcome=f"{best.name} is best",
        tables=[side_by_side(best_first, varying=question.varying)],
        lines=lines,
        data={
            "metric": question.metric,
            "best": best.run_id,
            "runs": [
                {"run": e.run_id, "name": e.name, "params": e.params, "metrics": e.metrics}
                for e in best_first
            ],
            "registered": version,
        },
    )


def _register(workspace: Workspace, best: Entrant, question: Question, name: str) -> str:
    if not best.model_ids:
        raise UsageError(
            f"run {best.run_id}",
            expected="a run that logged a model",
            found="none",
            next_step="log the model in training (mlflow.<flavor>.log_model), then run again",
        )
    value = best.metrics[question.metric]
    return workspace.registry.register(
        check_name(name),
        best.model_ids[-1],
        best.run_id,
        f"Best of {', '.join(question.experiments)} by {question.metric}: {value:.6g}.",
        {
            "chosen_by": actor(),
            "chosen_for": question.metric,
            f"chosen_{question.metric}": f"{value:.6g}",
        },
    )
