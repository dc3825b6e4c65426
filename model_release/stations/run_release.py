"""The whole release: every station in order, from where this version's release stopped."""

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_release import commands, releases
from model_release.identity import short_id
from model_release.image.context import Context, build_context
from model_release.processes.locks import file_lock
from model_release.releases import Release
from model_release.releases.history import CHAMPION
from model_release.releases.validation_report import ValidationReport
from model_release.releases.validation_tables import champion_table, compared, gate_table
from model_release.report import Report, Table
from model_release.stations.approve_model import Approval
from model_release.stations.build_image import ImageSettings, build_image
from model_release.stations.deploy_model import deploy_model
from model_release.stations.promote_model import promote_model
from model_release.stations.smoke_test import smoke_test
from model_release.stations.validate_model import validate_model, verdict
from model_release.targets import Running, Target
from model_release.workspace import Workspace

CURL_LIMIT = 400
"""Longest request body, in characters, that is shown inside the curl line."""


@dataclass
class Times:
    """Seconds that each station took, by name, in the order in which they ran."""

    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, station: str, action: Callable[[], Any]) -> Any:
        """Run `action` and keep its time."""
        begun = time.monotonic()
        try:
            return action()
        finally:
            self.seconds[station] = time.monotonic() - begun


def run_release(
    workspace: Workspace,
    model: str,
    version: str | None,
    target: Target,
    approval: Approval,
    wanted: ImageSettings,
) -> Report:
    """Take a model version (the newest when None) from the registry to champion.

    `wanted` says where its image goes, for a target that runs images.

    Raises:
        ReleaseError: whatever stopped it; what was released before is as it was.
    """
    number = workspace.registry.version(model, version).version
    times = Times()
    with file_lock(workspace.home / "road" / f"{model}.lock", f"a release of {model}"):
        release = times.of("validate", lambda: validated(workspace, model, number))
        release, context = times.of("build", lambda: _built(workspace, release, target, wanted))
        release, _ = times.of(
            "deploy to staging",
            lambda: deploy_model(workspace, release, "staging", target, approval),
        )
        with target.reach("staging", model) as url:
            release, _ = times.of("smoke", lambda: smoke_test(workspace, release, url))
        release, production = times.of(
            "deploy to production",
            lambda: deploy_model(workspace, release, "production", target, approval),
        )
        workspace.progress.station("promote", f"{model} {number} becomes champion")
        release = times.of("promote", lambda: promote_model(release, target))
    undo = commands.rollback(model, target=target.name)
    return _report(release, production, times.seconds, context.path, undo)


def _built(
    workspace: Workspace, release: Release, target: Target, wanted: ImageSettings
) -> tuple[Release, Context]:
    """The context, and the image where the target runs one."""
    release, context = build_context(workspace, release)
    if target.runs_images:
        release, _ = build_image(workspace, release, context, wanted)
    return release, context


def validated(workspace: Workspace, model: str, version: str) -> Release:
    """The release to go on with, or a new one that has passed its gates."""
    release = _unfinished(workspace, model, version)
    if release:
        workspace.progress.station("validate", f"{model} {version}")
        at = release.ended("validate")
        workspace.progress.step(
            f"release {short_id(release.id)} passed its gates at {at}: going on"
        )
        return release
    release = validate_model(workspace, model, version)
    verdict(release)
    return release


def _unfinished(workspace: Workspace, model: str, version: str) -> Release | None:
    """This version's newest release, if its gates judged what they would judge now."""
    registry = workspace.registry
    release = releases.newest(registry, model, version)
    if release is None or not release.passed("validate"):
        return None
    champion = registry.alias(model, CHAMPION)
    if release.state == "released":
        return release if champion == version else None
    same_limits = release.config == workspace.config(model).digest
    same_champion = champion in (version, release.champion or None)
    return release if release.state == "open" and same_limits and same_champion else None


def validation_report(release: Release) -> Report:
    """The report of a validation, passed or not, as its release keeps it."""
    judged = release.report
    stopped = next((gate for gate in judged.gates if gate.next_step), None)
    lines = [f"release {release.id}"]
    if stopped:
        lines.append(f"gate {stopped.gate} {stopped.status}; next: {stopped.next_step}")
    return Report(
        title=f"{release.model} {release.version}",
        outcome=judged.outcome,
        tables=_tables(judged),
        lines=lines,
        data=dict(judged.document),
        exit_code=judged.exit_code,
    )


def _tables(judged: ValidationReport) -> list[Table]:
    """The gates and, where they were measured, the metrics of champion and challenger."""
    gates = gate_table(judged.gates, times=True)
    if not judged.metrics:
        return [gates]
    champion = judged.champion
    columns = {
        "champion": f"champion {champion}" if champion else "champion (none yet)",
        "challenger": f"version {judged.version}",
    }
    return [gates, champion_table(compared(judged.metrics, {}, {}), columns)]


def _report(
    release: Release,
    production: Running,
    seconds: Mapping[str, float],
    context: Path,
    undo: str,
) -> Report:
    judged = release.report
    stations = Table(
        "Stations", ("station", "s"), [(name, f"{took:.1f}") for name, took in seconds.items()]
    )
    approved = release.approved
    return Report(
        title=f"{release.model} {release.version}",
        outcome="passed",
        tables=[*_tables(judged), *production.measured, stations],
        lines=[
            f"champion of {release.model}: version {release.version}, {release.digest}",
            f"approved by {approved.by} ({approved.how}); release {release.id}",
            f"production: {production.url}",
            "try it:",
            f"  {curl(production.url, context)}",
            "if it is wrong:",
            f"  {undo}",
        ],
        data={
            "release": release.id,  # first, as in earlier reports
            **release.identity.fields(),
            "production": production.url,
            "approved_by": approved.by,
            "gates": judged.document["gates"],
            "metrics": judged.metrics,
            "seconds": {name: round(took, 3) for name, took in seconds.items()},
        },
    )


def curl(url: str, context: Path) -> str:
    """A command that asks production for a prediction of the model's own input example."""
    example = context / "model" / "serving_input_example.json"
    if not example.is_file():
        return f"curl -s {shlex.quote(url)}/model"
    body = " ".join(example.read_text(encoding="utf-8").split())
    data = body if len(body) <= CURL_LIMIT else f"@{example}"
    return (
        f"curl -s -H 'Content-Type: application/json' -d {shlex.quote(data)} "
        f"{shlex.quote(url + '/invocations')}"
    )
