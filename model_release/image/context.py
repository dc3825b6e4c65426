"""Build: the context that a server or an image starts from, out of what was validated."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from model_release import commands
from model_release.digest import model_digest
from model_release.errors import RefusedError
from model_release.gates import integrity
from model_release.gates.evidence import Files
from model_release.identity import short_digest, short_id
from model_release.releases import Release, names
from model_release.workspace import Workspace

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "requirements.in")


@dataclass(frozen=True)
class Context:
    """A build context: `release.json`, `model/`, `requirements.lock`, `serving/`."""

    path: Path
    digest: str


def build_context(workspace: Workspace, release: Release) -> tuple[Release, Context]:
    """Make the context of a validated release, or find it made; record its digest.

    Raises:
        UsageError: the release was not validated.
        RefusedError: the registry holds other files than those that were validated, or the context
            is not the one that this release had before.
    """
    release.require_before("build")
    workspace.progress.station("build", f"{release.model} {release.version}")
    path = workspace.context(release.id)
    if release.passed("build") and path.is_dir():
        made = Context(path, model_digest(path))
        if made.digest == release.context_digest:
            workspace.progress.step(f"context is there: {short_digest(made.digest)}…")
            return release, made
    model = _model(workspace, release)
    with workspace.scratch() as folder:
        _fill(folder, release, model, workspace.serving)
        if model_digest(folder / "model") != release.digest:
            raise RefusedError(
                "build context",
                expected=release.digest,
                found="other files",
                next_step="stop whatever else writes to the state folder, then build again",
            )
        made = Context(path, model_digest(folder))
        _expect(release, made.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        folder.rename(path)
    workspace.progress.step(f"context {short_digest(made.digest)}…")
    return release.record("build", "passed", tags={names.CONTEXT_DIGEST: made.digest}), made


def _expect(release: Release, digest: str) -> None:
    """Refuse another context than the one that was built for this release before."""
    if (bound := release.bound.get(names.CONTEXT_DIGEST, digest)) != digest:
        raise RefusedError(
            f"context of release {short_id(release.id)}, built a second time",
            expected=bound,
            found=f"{digest}: serving/ of this checkout is not as it was",
            next_step="build it from the commit of the first time, or validate the version again, "
            "which begins a new release: "
            f"{commands.station('validate', release.model, release.version)}",
        )


def _model(workspace: Workspace, release: Release) -> Path:
    """The version's files, fetched anew: a change after validation is refused here."""
    found = workspace.registry.version(release.model, release.version)
    path, digest = workspace.fetch_model(found)
    files = Files(found.name, found.version, found.status, digest, release.digest, 0, 0)
    outcome = integrity.judge(files, integrity.Limits())
    if not outcome.lets_through:
        raise RefusedError(
            f"{release.model} {release.version}: gate integrity",
            expected=outcome.required,
            found=outcome.found,
            next_step=outcome.next_step,
        )
    return path


def _fill(folder: Path, release: Release, model: Path, serving: Path) -> None:
    """Lay out the context. Nothing in it depends on the time or the machine."""
    shutil.copytree(model, folder / "model")
    shutil.copytree(serving, folder / "serving", ignore=IGNORED)
    (folder / "requirements.lock").write_text(release.lock, encoding="utf-8")
    served = {**release.identity.fields(), "batching": release.batching}
    (folder / "release.json").write_text(json.dumps(served, indent=2) + "\n", encoding="utf-8")
