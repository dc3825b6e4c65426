"""Describe: gather a release's evidence, make its page, keep it as a file of the release's run."""

from dataclasses import dataclass

from model_release import releases
from model_release.errors import UsageError
from model_release.page import Page
from model_release.page.content import page
from model_release.page.facts import Evidence, Facts
from model_release.page.html import html
from model_release.page.markdown import markdown
from model_release.releases import Release
from model_release.stations.deploy_model import MANIFEST, described
from model_release.targets import Target
from model_release.workspace import Workspace

FOLDER = "page"


@dataclass(frozen=True)
class Described:
    """A release's page, for GitHub's job summary and for whoever opens the file."""

    page: Page
    markdown: str
    html: str


def describe_release(workspace: Workspace, release: Release, target: Target) -> Described:
    """Make the page of a release as it stands; `page/release.html` of its run is this page then.

    Raises:
        OutsideError: the registry does not answer.
    """
    champion = _champion(release)
    theirs = _evidence(champion, _deployed(champion)) if champion else None
    ours = _evidence(release, _manifest(workspace, release, target))
    made = page(Facts(ours, theirs, workspace.registry.place, target.name))
    found = Described(made, markdown(made), html(made))
    release.keep(FOLDER, {"release.html": found.html, "release.md": found.markdown})
    return found


def _champion(release: Release) -> Release | None:
    """The release of the champion that this one was compared with."""
    version = release.tags.get("release.champion", "")
    if not version or version == release.version:
        return None
    return releases.newest(release.registry, release.model, version, state="released")


def _manifest(workspace: Workspace, release: Release, target: Target) -> str:
    """What production was given; before that, what it would be given."""
    if release.passed("deploy-production"):
        return _deployed(release)
    if target.runs_images and "release.image" not in release.tags:
        return ""
    return target.manifest("production", described(workspace, release))


def _deployed(release: Release) -> str:
    try:
        return release.text(f"deploy-production/{MANIFEST}")
    except UsageError:  # released before manifests were kept
        return ""


def _evidence(release: Release, manifest: str) -> Evidence:
    registry = release.registry
    version = registry.version(release.model, release.version)
    return Evidence(
        id=release.id,
        tags=release.tags,
        report=release.json("validate/report.json"),
        lock=release.text("validate/requirements.lock") if release.passed("validate") else "",
        checks=release.json("smoke/checks.json") if release.passed("smoke") else (),
        sbom=release.json("build/sbom.cdx.json") if "release.image" in release.tags else None,
        manifest=manifest,
        version=version.tags,
        source=registry.run_tags(version.run_id) if version.run_id else {},
    )
