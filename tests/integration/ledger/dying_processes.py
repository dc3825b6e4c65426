"""What the ledger's tests do in processes of their own: promote, die at a write."""

import json
import multiprocessing
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from model_release import ROOT, commands, releases
from model_release.errors import ReleaseError
from model_release.identity import Identity
from model_release.operations.audit_release import Audit
from model_release.operations.rollback_model import rollback_model
from model_release.registry import Registry
from model_release.releases import Release, names
from model_release.report.progress import Progress
from model_release.stations.promote_model import promote_model
from model_release.targets import Running
from model_release.targets.local.target import LocalTarget
from model_release.workspace import Workspace

KILLED = 137
WRITES = (
    "create_experiment",
    "create_run",
    "delete_run",
    "log_artifacts",
    "log_batch",
    "log_param",
    "set_experiment_tag",
    "set_model_version_tag",
    "set_registered_model_alias",
    "set_terminated",
)
"""MLflow's methods that change something; a call of any other that begins so fails the test."""


@dataclass
class FixedTarget:
    """Where production serves what it is told to: twenty real ones would be twenty machines."""

    identity: Identity
    name: str = "local"
    runs_images: bool = False
    environments: list[str] = field(default_factory=list)

    def find(self, environment: str, model: str) -> Running | None:
        if model != self.identity.model:
            return None
        return Running(environment, self.identity, "", 1, datetime.now(UTC))


def fixed_target(release: Release) -> Any:
    return FixedTarget(release.identity)


def forkserver() -> ForkServerContext:
    """Processes that have imported everything and opened nothing: a fork each, not an import."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["mlflow", "mlflow.store.tracking.rest_store", __name__])
    return found


def versions(registry: Registry, model: str, count: int) -> None:
    """Register versions of a model, without files."""
    registry._client.create_registered_model(model)
    for _ in range(count):
        registry._client.create_model_version(model, "s3://nowhere/model")


def ready(registry: Registry, model: str, version: str, champion: str) -> Release:
    """A release that production serves and that waits for its promotion."""
    compared = {names.CHAMPION: champion}
    begun = releases.start(registry, model, version, f"sha256:{version}", compared)
    passed = {f"station.{station}": "passed" for station in commands.before("promote")}
    return begun.note(passed | {"approval.by": "ada"})


def promote_once(uri: str, run_id: str, gate: Any, answers: Any) -> None:
    """Promote when the gate opens; say the exit code and the error."""
    try:
        registry = Registry(uri)
        release = releases.load(registry, run_id)
        gate.wait()
        promote_model(release, fixed_target(release))
        answers.put((release.version, 0, ""))
    except ReleaseError as error:
        answers.put((release.version, error.exit_code, str(error)))
    except BaseException:  # noqa: BLE001 - the parent shows it
        answers.put((run_id, 99, traceback.format_exc()))


class DyingClient:
    """Calls of a client's methods; the process dies before or after the n-th write."""

    def __init__(self, client: Any, at: int, before: bool) -> None:
        self._client, self._at, self._before, self._count = client, at, before, 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        if name not in WRITES:
            assert not name.startswith(("set_", "log_", "create_", "delete_", "update_")), name
            return method  # type: ignore[no-any-return]

        def call(*arguments: Any, **named: Any) -> Any:
            self._count += 1
            if self._count == self._at and self._before:
                os._exit(KILLED)
            answer = method(*arguments, **named)
            if self._count == self._at:
                os._exit(KILLED)
            return answer

        return call


def do_and_die(uri: str, action: str, arguments: list[str], at: int, before: bool) -> None:
    """Do an action of ACTIONS and die at a write, if it comes to so many."""
    registry = Registry(uri)
    registry._client._target = DyingClient(registry._client._target, at, before)
    try:
        ACTIONS[action](registry, *arguments)
    except ReleaseError as error:
        os._exit(error.exit_code)
    os._exit(0)


def _promote(registry: Registry, run_id: str) -> None:
    release = releases.load(registry, run_id)
    promote_model(release, fixed_target(release))


def _start(registry: Registry, model: str) -> None:
    releases.start(registry, model, "1", "sha256:1", {names.CHAMPION: ""})


def workspace_and_target(
    registry: Registry, home: str, ports: str
) -> tuple[Workspace, LocalTarget]:
    """The surroundings of a state folder with this registry; `ports` is JSON."""
    workspace = Workspace(Path(home), ROOT / "models", registry.uri, Progress(quiet=True))
    vars(workspace)["registry"] = registry  # whose writes may be deadly
    return workspace, LocalTarget(workspace.home, json.loads(ports))


def _roll_back(registry: Registry, home: str, ports: str, model: str, release: str) -> None:
    workspace, target = workspace_and_target(registry, home, ports)
    rollback_model(workspace, model, target, reason="wrong answers", release_id=release)


def _mend(registry: Registry, home: str, ports: str, model: str) -> None:
    Audit(*workspace_and_target(registry, home, ports), grace=0.0).report([model], fix=True)


ACTIONS: dict[str, Callable[..., None]] = {
    "promote": _promote,
    "start": _start,
    "roll back": _roll_back,
    "mend": _mend,
}


def run_and_die(uri: str, action: str, arguments: list[str], at: int, before: bool) -> int:
    """The exit code of `act_and_die` in a process of its own."""
    process = forkserver().Process(target=do_and_die, args=(uri, action, arguments, at, before))
    process.start()
    process.join(300)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode
