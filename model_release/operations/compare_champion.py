"""Champion and challenger on the same rows, and what the champion gate would decide.

The gates before it are asked as in a release, because they say whether the model may be loaded at
all. Nothing is written to the registry.
"""

from model_release import commands
from model_release.errors import RefusedError, UsageError
from model_release.gates.champion import Limits
from model_release.gates.evidence import Scores
from model_release.gates.outcome import Outcome
from model_release.measurement.collector import Collector
from model_release.releases.validation_tables import champion_table, compared
from model_release.report import Report
from model_release.stations.validate_model import ask, challenger_of, champion_of
from model_release.workspace import Workspace

COLUMNS = ("champion", "challenger", "worse_by", "at_most", "allowed")
"""What is shown of each metric."""


def compare_champion(workspace: Workspace, model: str, version: str | None) -> Report:
    """Score a version (the newest when None) and the champion on the holdout; exit code 1: no.

    Raises:
        UsageError: there is no champion, or the champion gate is skipped.
        RefusedError: a gate before it says no.
    """
    found = workspace.registry.version(model, version)
    config = workspace.config(model)
    champion = champion_of(workspace, model)
    if champion is None or config.gates.champion.skip:
        first = commands.release(model, target=commands.WHICH_TARGET)
        raise UsageError(
            f"champion of {model}",
            expected="a champion to compare with, and a champion gate that is not skipped",
            found="no version has the alias champion"
            if champion is None
            else f"gates.champion.skip: {config.gates.champion.skip}",
            next_step=f"release a first version: {first}"
            if champion is None
            else f"remove skip from gates.champion in {config.source}",
        )
    with Collector(
        challenger_of(workspace, found),
        champion,
        config,
        home=workspace.home,
        serving_requirements=workspace.serving / "requirements.in",
        fetch_artifact=workspace.registry.fetch,
    ) as collector:
        for outcome in ask(collector, config, workspace.progress.asking):
            workspace.progress.outcome(outcome.status, outcome.gate, outcome.found, outcome.seconds)
            if outcome.gate == "champion":
                break
            if not outcome.lets_through:
                raise RefusedError(
                    f"{model} {found.version}: gate {outcome.gate} {outcome.status}",
                    expected=outcome.required,
                    found=outcome.found,
                    next_step=outcome.next_step,
                )
        scores = collector.collect(Scores)
    return _report(model, found.version, champion.version, outcome, scores, config.gates.champion)


def _report(
    model: str,
    version: str,
    champion: str,
    outcome: Outcome,
    scores: Scores,
    limits: Limits,
) -> Report:
    sides = {"champion": scores.champion_measured, "challenger": scores.measured}
    pairs = {
        name: {side: values[name] for side, values in sides.items() if name in values}
        for name in sorted({*scores.measured, *scores.champion_measured, *limits.max_regression})
    }
    metrics = compared(pairs, dict(outcome.facts), limits.max_regression)
    return Report(
        title=f"{model} {version} against champion {champion}",
        outcome=outcome.status,
        tables=[champion_table(metrics, {each: each.replace("_", " ") for each in COLUMNS})],
        lines=[f"required: {outcome.required}", f"found: {outcome.found}"],
        data={
            "model": model,
            "challenger": version,
            "champion": champion,
            "decision": outcome.status,
            "required": outcome.required,
            "found": outcome.found,
            "confidence": limits.confidence,
            "metrics": {
                each.name: {column: getattr(each, column) for column in COLUMNS} for each in metrics
            },
        },
        exit_code=0 if outcome.lets_through else 1,
    )
