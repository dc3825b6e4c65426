"""Station validate: a new release, judged by every gate in order until one says no."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from model_release import __version__, commands, releases
from model_release.config import ModelConfig
from model_release.errors import OutsideError, RefusedError, ReleaseError
from model_release.gates import Gate, gates
from model_release.gates.evidence import Claims, Golden, Scores
from model_release.gates.outcome import GateLimits, Outcome, Status
from model_release.measurement.collector import Collector
from model_release.measurement.subject import MeasuredModel
from model_release.registry import ModelVersion
from model_release.releases import Release, names
from model_release.releases.history import CHAMPION
from model_release.releases.validation_report import ValidationReport
from model_release.workspace import Workspace


def validate_model(workspace: Workspace, model: str, version: str | None) -> Release:
    """Judge a model version (the newest when None); return its new release, passed or not.

    The release then holds `validate/report.json`, `requirements.lock`, `golden.json`, and the
    version its tags. `verdict()` turns a release that did not pass into the error to raise.

    Raises:
        UsageError: no such version, a configuration or holdout that cannot be used.
        OutsideError: registry, holdout store or package index cannot be reached.
    """
    registry = workspace.registry
    found = registry.version(model, version)
    workspace.progress.station("validate", f"{model} {found.version}")
    config = workspace.config(model)
    challenger = challenger_of(workspace, found)
    champion = champion_of(workspace, model)
    begun = releases.start(
        registry,
        model,
        found.version,
        challenger.digest,
        {
            names.SOURCE_RUN: found.run_id,
            names.CONFIG: config.digest,
            names.CHAMPION: champion.version if champion else "",
            names.SOFTWARE: __version__,
        },
    )
    started = time.monotonic()
    with Collector(
        challenger,
        champion,
        config,
        home=workspace.home,
        serving_requirements=workspace.serving / "requirements.in",
        fetch_artifact=registry.fetch,
    ) as collector:
        outcomes = []
        for outcome in ask(collector, config, workspace.progress.asking):
            workspace.progress.outcome(outcome.status, outcome.gate, outcome.found, outcome.seconds)
            outcomes.append(outcome)
        seconds, limits = time.monotonic() - started, config.gates.model_dump(mode="json")
        report = _report(begun, outcomes, collector, champion, seconds, limits)
        kept = _kept(outcomes, collector)
    return _record(begun, outcomes, report, kept)


def ask(
    collector: Collector, config: ModelConfig, asking: Callable[[str], None]
) -> Iterator[Outcome]:
    """Every gate's outcome in order. After the first that says no, the rest is not reached.

    `asking` is told of each gate before it is asked.
    """
    stopped_by = ""
    for name, gate in gates().items():
        limits: GateLimits = getattr(config.gates, name)
        if stopped_by:
            yield Outcome("not reached", "", f"stopped by {stopped_by}", gate=name)
            continue
        asking(name)
        begun = time.monotonic()
        outcome = _judge(gate, limits, collector)
        yield replace(outcome, gate=name, seconds=time.monotonic() - begun)
        if not outcome.lets_through:
            stopped_by = name


def _judge(gate: Gate, limits: GateLimits, collector: Collector) -> Outcome:
    if limits.skip:
        return Outcome("skipped", "nothing: models/*.yaml says skip", limits.skip)
    try:
        return gate.judge(collector.collect(gate.EVIDENCE), limits)
    except ReleaseError as error:
        status: Status = "failed" if isinstance(error, RefusedError) else "error"
        found = ": ".join(filter(None, (error.what, error.found)))
        return Outcome(
            status,
            error.expected,
            found,
            error.next_step,
            exit_code=error.exit_code,
        )


def verdict(judged: Release) -> None:
    """Raise what stopped this release in validation, if anything did.

    Raises:
        RefusedError: a gate said no; names the gate.
        ReleaseError: evidence could not be had, with the exit code of its cause.
    """
    if judged.passed("validate"):
        return
    stopped = next(gate for gate in judged.report.gates if gate.status in ("failed", "error"))
    kind = RefusedError if stopped.status == "failed" else OutsideError
    error = kind(
        f"{judged.model} {judged.version}: gate {stopped.gate} {stopped.status}",
        expected=stopped.required,
        found=stopped.found,
        next_step=stopped.next_step,
    )
    error.exit_code = judged.report.exit_code
    raise error


def challenger_of(workspace: Workspace, found: ModelVersion) -> MeasuredModel:
    """A version to be judged, its files fetched."""
    workspace.progress.step(
        f"files of {found.name} {found.version} from {workspace.registry.place}"
    )
    path, digest = workspace.fetch_model(found)
    validated = releases.newest(workspace.registry, found.name, found.version, validated="passed")
    return MeasuredModel(
        name=found.name,
        version=found.version,
        status=found.status,
        path=path,
        digest=digest,
        recorded=validated.digest if validated else None,
        claims=_claims(workspace, found),
        lock=None,
    )


def champion_of(workspace: Workspace, model: str) -> MeasuredModel | None:
    """The champion as it was released: same files, same lock. None where there is none yet."""
    number = workspace.registry.alias(model, CHAMPION)
    if number is None:
        return None
    found = workspace.registry.version(model, number)
    path, digest = workspace.fetch_model(found)
    released = releases.newest(workspace.registry, model, number, state="released")
    if released and released.digest != digest:
        back = commands.rollback(
            model, reason="files of the champion changed", target=commands.WHICH_TARGET
        )
        raise RefusedError(
            f"champion {model} {number}",
            expected=f"digest {released.digest}, as released",
            found=digest,
            next_step="the files changed after the release: restore them in the artifact store, or "
            f"run {back}",
        )
    lock = None
    if released:
        lock = workspace.home / "locks" / f"{released.id}.txt"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text(released.lock, encoding="utf-8")
    return MeasuredModel(
        name=model,
        version=number,
        status=found.status,
        path=path,
        digest=digest,
        recorded=digest,
        claims=_claims(workspace, found),
        lock=lock,
    )


def _claims(workspace: Workspace, found: ModelVersion) -> Claims:
    logged = workspace.registry.claims(found)
    return Claims(logged.by, logged.metrics)


def _report(
    begun: Release,
    outcomes: list[Outcome],
    collector: Collector,
    champion: MeasuredModel | None,
    seconds: float,
    limits: Mapping[str, Any],
) -> ValidationReport:
    """The report that the release keeps of its validation."""
    passed = all(outcome.lets_through for outcome in outcomes)
    document = {
        "release": begun.id,  # first, as in earlier reports
        **begun.identity.fields(),
        "champion": champion.version if champion else None,
        "outcome": "passed" if passed else "refused",
        "exit_code": next((each.exit_code for each in outcomes if not each.lets_through), 0),
        "seconds": round(seconds, 3),
        "gates": [_row(outcome) for outcome in outcomes],
        "metrics": _metrics(outcomes, collector, champion),
        "slices": _slices(outcomes, collector),
        "limits": limits,
    }
    return ValidationReport.of(document)


def _kept(outcomes: list[Outcome], collector: Collector) -> dict[str, str]:
    """What later stations need of a version that passed, name → text; nothing of another."""
    if not all(outcome.lets_through for outcome in outcomes):
        return {}
    lock: Path = collector.environment_lock
    skipped = any(row.gate == "golden" and row.status == "skipped" for row in outcomes)
    cases = () if skipped else collector.collect(Golden).cases
    return {
        names.LOCK: lock.read_text(encoding="utf-8"),
        names.GOLDEN: json.dumps(list(cases)),
    }


def _metrics(
    outcomes: list[Outcome], collector: Collector, champion: MeasuredModel | None
) -> dict[str, dict[str, float]]:
    """Metric → challenger's and champion's value: measured where a gate did, else as logged."""
    reached = {outcome.gate: outcome.status in ("passed", "failed") for outcome in outcomes}
    if any(reached.get(gate) for gate in ("measured_metrics", "champion", "slices")):
        scores = collector.collect(Scores)
        pair = {"challenger": scores.measured, "champion": scores.champion_measured}
    elif reached.get("claimed_metrics"):
        claims = champion.claims.metrics if champion else {}
        pair = {"challenger": collector.collect(Claims).metrics, "champion": claims}
    else:
        return {}
    return {
        name: {side: values[name] for side, values in pair.items() if name in values}
        for name in pair["challenger"]
    }


def _slices(outcomes: list[Outcome], collector: Collector) -> list[dict[str, Any]]:
    """Every slice with its rows and metrics, once the gate has judged them."""
    judged = any(row.gate == "slices" and row.status in ("passed", "failed") for row in outcomes)
    return [asdict(each) for each in collector.collect(Scores).slices] if judged else []


def _row(outcome: Outcome) -> dict[str, Any]:
    row = asdict(outcome) | {"facts": dict(outcome.facts), "seconds": round(outcome.seconds, 3)}
    del row["exit_code"]  # the report's own says it for all
    return row


def _record(
    begun: Release, outcomes: list[Outcome], report: ValidationReport, kept: Mapping[str, str]
) -> Release:
    """Write the result: release first, then the version's tags, which only repeat it."""
    facts = {f"{outcome.gate}.{key}": value for outcome in outcomes for key, value in outcome.facts}
    passed = report.outcome == "passed"
    batching = facts.get("row_independence.independent") == 1.0
    recorded = begun.record(
        "validate",
        "passed" if passed else "refused",
        evidence={names.REPORT: report.text, **kept},
        metrics=facts,
        tags={
            names.VALIDATED: "passed",
            names.BATCHING: str(batching).lower(),
            names.LOCK_DIGEST: hashlib.sha256(kept[names.LOCK].encode()).hexdigest(),
        }
        if passed
        else {},
        state=None if passed else "refused",
    )
    begun.registry.tag_version(
        begun.model,
        begun.version,
        {
            "validation_status": "passed" if passed else "failed",
            "validated_at": recorded.ended("validate"),
            "validation_release": begun.id,
        },
    )
    return recorded
