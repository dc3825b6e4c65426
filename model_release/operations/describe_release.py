"""The page of a release, made from its evidence and kept as a file of the release's run."""

from dataclasses import dataclass

from model_release import releases
from model_release.page.content import page
from model_release.page.facts import DescribedRelease, Facts
from model_release.releases import Release
from model_release.report import Document
from model_release.report.html import html
from model_release.report.markdown import markdown
from model_release.stations.deploy_model import described
from model_release.targets import Target
from model_release.workspace import Workspace

FOLDER = "page"


@dataclass(frozen=True)
class Described:
    """A release's page, for GitHub's job summary and for whoever opens the file."""

    page: Document
    markdown: str
    html: str


def describe_release(workspace: Workspace, release: Release, target: Target) -> Described:
    """Make the page of a release as it stands; `page/release.html` of its run is this page then.

    Raises:
        RefusedError: something of the release is not as it was written.
        OutsideError: the registry does not answer.
    """
    release.check()
    champion = _champion(release)
    theirs = _described(champion, champion.manifest) if champion else None
    ours = _described(release, _manifest(workspace, release, target))
    made = page(Facts(ours, theirs, workspace.registry.place, target.name))
    found = Described(made, markdown(made), html(made))
    release.keep(FOLDER, {"release.html": found.html, "release.md": found.markdown})
    return found


def _champion(release: Release) -> Release | None:
    """The release of the champion that this one was compared with."""
    if release.champion in ("", release.version):
        return None
    return releases.newest(release.registry, release.model, release.champion, state="released")


def _manifest(workspace: Workspace, release: Release, target: Target) -> str:
    """What production was given; before that, what it would be given."""
    if release.passed("deploy-production"):
        return release.manifest
    if target.runs_images and not release.image:
        return ""
    return target.manifest("production", described(workspace, release))


def _described(release: Release, manifest: str) -> DescribedRelease:
    registry = release.registry
    version = registry.version(release.model, release.version)
    return DescribedRelease(
        id=release.id,
        tags=release.tags,
        bound=release.bound,
        report=release.report,
        lock=release.lock if release.passed("validate") else "",
        checks=release.checks if release.passed("smoke") else (),
        sbom=release.sbom if release.image else None,
        manifest=manifest,
        version_tags=version.tags,
        source_tags=registry.run_tags(version.run_id) if version.run_id else {},
    )
