"""Deploy: a built release serves in an environment of a target, or everything is as before."""

from model_release import environment as environments
from model_release.digest import model_digest
from model_release.errors import RefusedError, UsageError
from model_release.release import SCRIPTS, Release
from model_release.stations.approve import Approval, approve
from model_release.stations.smoke import probe
from model_release.targets import Deployment, Running, Target
from model_release.workspace import Workspace

NEEDED = {
    "staging": ("validate", "build"),
    "production": ("validate", "build", "deploy-staging", "smoke"),
}


def deploy(
    workspace: Workspace,
    release: Release,
    environment: str,
    target: Target,
    approval: Approval,
) -> tuple[Release, Running]:
    """Make a release serve in `environment`; production is asked for approval first.

    The new server answers the smoke suite before it gets the environment's address. The same
    release again is a no-op.

    Raises:
        UsageError: an earlier station is missing.
        RefusedError: no approval, or the server does not answer as the validated model did.
        OutsideError: the server does not start, its port is taken, and the like.
    """
    release.require(*NEEDED[environment])
    deployment = _deployment(workspace, release)
    if environment == "production":
        release = approve(release, approval)
    workspace.progress.station(f"deploy to {environment}", f"{release.model} {release.version}")
    suite = probe(workspace, release)

    def verify(url: str) -> None:
        suite(url)

    running = target.deploy(environment, deployment, workspace.progress.step, verify)
    station = f"deploy-{environment}"
    if not release.passed(station):
        release = release.record(station, "passed", tags={f"{station}.url": running.url})
    return release, running


def _deployment(workspace: Workspace, release: Release) -> Deployment:
    """What a target needs: the context, checked, and the interpreter of its locked environment."""
    context = workspace.home / "contexts" / release.id
    build = (
        f"python scripts/{SCRIPTS['build']} --model-name {release.model} "
        f"--model-version {release.version}"
    )
    if not context.is_dir():
        raise UsageError(
            f"context of release {release.id[:8]}", expected=str(context), next_step=build
        )
    if (found := model_digest(context)) != release.tags["release.context"]:
        raise RefusedError(
            f"context of release {release.id[:8]}",
            expected=release.tags["release.context"],
            found=found,
            next_step=f"somebody changed it: make it anew with {build}",
        )
    version = ".".join(environments.python_version(context / "model").split(".")[:2])
    python = environments.install(context / "requirements.lock", version, workspace.home)
    return Deployment(
        model=release.model,
        version=release.version,
        digest=release.digest,
        release=release.id,
        context=context,
        python=python,
    )
