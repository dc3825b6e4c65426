"""What serves in each environment of a target, beside the champion in the registry."""

from datetime import UTC, datetime, timedelta

from model_release import commands
from model_release.identity import short_digest, short_id
from model_release.registry import Registry
from model_release.releases.history import CHAMPION
from model_release.report import Report, Table
from model_release.targets import Running, Target
from model_release.workspace import Workspace

COLUMNS = (
    "environment",
    "model",
    "version",
    "champion",
    "replicas",
    "digest",
    "release",
    "age",
    "url",
)


def release_status(workspace: Workspace, target: Target, environment: str | None = None) -> Report:
    """Every deployment of a target (in one environment), each with the model's champion."""
    running = target.running(environment)
    models = {run.identity.model for run in running}
    champions = {model: _champion(workspace.registry, model) for model in models}
    rows = [_row(run, champions[run.identity.model]) for run in running]
    dead = any(not run.replicas for run in running)
    return Report(
        title=f"target {target.name}",
        outcome="something is down" if dead else "serving" if running else "nothing serves",
        tables=[Table("Deployments", COLUMNS, rows)] if rows else [],
        lines=list(dict.fromkeys(_back(run, target) for run in running if not run.replicas)),
        data={"deployments": [_data(run, champions[run.identity.model]) for run in running]},
    )


def _back(run: Running, target: Target) -> str:
    model, version = run.identity.model, run.identity.version
    again = commands.release(model, version, target=target.name)
    return f"{model} {version} is not ready; unless it comes back by itself, start it: {again}"


def stop(target: Target, environment: str | None = None) -> Report:
    """End every deployment of a target (in one environment)."""
    ended = target.stop(environment)
    rows = [(run.environment, run.identity.model, run.identity.version, run.url) for run in ended]
    return Report(
        title=f"target {target.name}",
        outcome="stopped" if ended else "nothing was serving",
        tables=[Table("Stopped", ("environment", "model", "version", "url"), rows)] if rows else [],
        data={"stopped": [_data(run, None) for run in ended]},
    )


def _champion(registry: Registry, model: str) -> str | None:
    return registry.alias(model, CHAMPION) if registry.has_versions(model) else None


def _row(run: Running, champion: str | None) -> tuple[str, ...]:
    return (
        run.environment,
        run.identity.model,
        run.identity.version,
        champion or "none",
        str(run.replicas) if run.replicas else "not ready",
        short_digest(run.identity.digest.removeprefix("sha256:")),
        short_id(run.identity.release),
        age(datetime.now(UTC) - run.since),
        run.url,
    )


def age(passed: timedelta) -> str:
    """A time in its largest unit, as kubectl shows it: 45s, 12m, 3h, 20d."""
    seconds = max(0, int(passed.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _data(run: Running, champion: str | None) -> dict[str, object]:
    return {
        "environment": run.environment,
        **run.identity.fields(),
        "url": run.url,
        "replicas": run.replicas,
        "since": run.since.isoformat(timespec="seconds"),
        "champion": champion,
    }
