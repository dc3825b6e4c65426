"""The content of a release's page, part by part (pure)."""

import difflib
from collections.abc import Iterator, Sequence

from model_release import commands
from model_release.image.sbom import PACKAGE
from model_release.page.facts import DescribedRelease, Facts
from model_release.releases.validation_tables import champion_table, compared, gate_table
from model_release.report import Bar, Document, Link, Part, StationOutcome, Table
from model_release.report.signs import NONE, number

DIFF_LINES = 400
"""More of a manifest's difference than this nobody reads on a page."""

MOST_SLICES = 30
"""A page with more rows of slices is not read; the report has them all."""


def page(facts: Facts) -> Document:
    """The page of a release as it stands now."""
    release = facts.release
    parts = (
        Part("The road", road=_road(release)),
        *_changes(facts),
        *_gates(release),
        *_comparison(release),
        *_slices(release),
        *_latency(release),
        *_smoke(release),
        *_image(release),
        *_manifest(facts),
        *_approval(release),
        *_way_back(facts),
        Part("Where to look", links=_links(facts)),
    )
    return Document(f"{release.model} {release.version}", parts, lead=_lead(facts))


def _lead(facts: Facts) -> str:
    release, champion = facts.release, facts.champion
    name = f"{release.model} {release.version}"
    if release.state == "released":
        return f"{name} is champion since {release.champion_since or 'its release'}."
    refused = [each.name for each in _road(release) if each.outcome == "refused"]
    if refused:
        return f"{name} was refused at {refused[0]}; production is as it was."
    instead = f"in place of version {champion.version}" if champion else "as first"
    return f"Whoever approves lets {name} into production, {instead}."


def _road(release: DescribedRelease) -> tuple[StationOutcome, ...]:
    found, waiting = [], False
    for station in commands.STATIONS:
        outcome = release.result(station)
        if not outcome:
            outcome = "not reached" if waiting else "waiting"
        waiting = waiting or outcome != "passed"
        found.append(StationOutcome(station, outcome))
    return tuple(found)


def _changes(facts: Facts) -> Iterator[Part]:
    ours, theirs = facts.release, facts.champion
    before = _origin(theirs) if theirs else {}
    rows = [
        (name, before.get(name) or NONE, value or NONE) for name, value in _origin(ours).items()
    ]
    title = f"champion {theirs.version}" if theirs else "champion (none yet)"
    yield Part(table=Table("What changes", ("what", title, "this release"), rows))
    yield _dependencies(ours.lock, theirs.lock if theirs else "")


def _origin(release: DescribedRelease) -> dict[str, str]:
    """What a release was made of, by what the page calls it; empty where nothing says so."""
    source = release.source_tags
    return {
        "version": release.version,
        "model digest": release.digest,
        "source run": release.source_run,
        "author": release.version_tags.get("trained_by") or source.get("mlflow.user", ""),
        "training commit": source.get("mlflow.source.git.commit", ""),
        "training code": source.get("mlflow.source.name", ""),
        "limits": release.config,
        "pipeline commit": release.commit,
        "image": release.image_digest,
        "base image": release.base_image,
    }


def _dependencies(ours: str, theirs: str) -> Part:
    new, old = dict(PACKAGE.findall(ours)), dict(PACKAGE.findall(theirs))
    rows = [
        (name, old.get(name, NONE), new.get(name, NONE))
        for name in sorted(new.keys() | old.keys())
        if new.get(name) != old.get(name)
    ]
    if not theirs:
        return Part("Dependencies", lines=(f"{len(new)} locked packages; no champion yet.",))
    if not rows:
        return Part("Dependencies", lines=(f"The same {len(new)} packages, by version.",))
    return Part(table=Table("Dependencies", ("package", "champion", "this release"), rows))


def _gates(release: DescribedRelease) -> Iterator[Part]:
    yield Part(table=gate_table(release.report.gates))


def _comparison(release: DescribedRelease) -> Iterator[Part]:
    facts, limits = release.report.facts("champion"), release.report.limits("champion")
    margins = limits.get("max_regression", {}) if facts else {}
    found = compared(release.report.metrics, facts, margins)
    if not found:
        return
    intervals = [each.interval for each in found if each.interval]
    columns = {
        "champion": "champion",
        "challenger": "this release",
        "interval": f"worse by ({2 * limits.get('confidence', 0.95) - 1:.0%} interval)",
        "allowed": "allowed",
    }
    lines = ("Both models answered the same holdout rows. Below 0 this release is better.",)
    yield Part(
        "Champion against challenger",
        lines=lines if intervals else (),
        table=champion_table(found, columns),
        intervals=intervals,
    )


def _slices(release: DescribedRelease) -> Iterator[Part]:
    found = release.report.slices
    if not found:
        return
    names = list(dict.fromkeys(name for each in found for name in each["metrics"]))
    shown = sorted(found, key=lambda each: min(each["metrics"].values(), default=0.0))[:MOST_SLICES]
    rows = [
        (
            f"{each['column']} = {each['value']}",
            str(each["rows"]),
            *(number(each["metrics"].get(name)) for name in names),
        )
        for each in shown
    ]
    more = len(found) - len(shown)
    lines = (f"The lowest; {more} more are in validate/report.json.",) if more else ()
    yield Part(lines=lines, table=Table("Slices", ("slice", "rows", *names), rows))


def _latency(release: DescribedRelease) -> Iterator[Part]:
    facts, limits = release.report.facts("latency"), release.report.limits("latency")
    bars = [
        Bar(name.removesuffix("_ms").replace("_", " "), value, limits.get(name), "ms")
        for name, value in facts.items()
        if name.endswith("_ms")
    ]
    if bars:
        lines = (
            "In the model's own process when the gates ran; the bar is the share of its limit.",
        )
        yield Part("Latency", lines=lines, bars=bars)


def _smoke(release: DescribedRelease) -> Iterator[Part]:
    rows = [
        (row["name"], "passed" if row["passed"] else "failed", row["required"], row["found"])
        for row in release.checks
    ]
    if rows:
        columns = ("check", "outcome", "required", "found")
        yield Part(table=Table("Smoke test in staging", columns, rows))


def _image(release: DescribedRelease) -> Iterator[Part]:
    if not release.sbom:
        return
    parts = release.sbom["components"]
    rows = [
        ("image", release.image or NONE),
        ("base image", release.base_image or NONE),
        ("signed by", release.signed_by or "nobody: signing is not set up"),
        ("bill of materials", f"build/sbom.cdx.json, CycloneDX, {len(parts)} components"),
        ("dependency lock", f"sha256 {release.lock_digest or NONE}"),
    ]
    yield Part(table=Table("Image", ("what", "value"), rows))


def _manifest(facts: Facts) -> Iterator[Part]:
    ours, theirs = facts.release.manifest, facts.champion.manifest if facts.champion else ""
    if not ours:
        return
    if not theirs:
        lines = ("Nothing of this model is in production yet; these are its manifests.",)
        yield Part("Manifests of production", lines=lines, code=ours, language="yaml", folded=True)
        return
    difference = list(
        difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "now", "then", lineterm="")
    )
    if len(difference) > DIFF_LINES:
        difference = [*difference[:DIFF_LINES], f"… {len(difference) - DIFF_LINES} more lines"]
    yield Part(
        "Manifests of production",
        lines=() if difference else ("They do not change.",),
        code="\n".join(difference),
        language="diff",
        folded=True,
    )


def _approval(release: DescribedRelease) -> Iterator[Part]:
    approved = release.approved
    rows = [(name, value) for name, value in vars(approved).items() if value]
    if approved.by:
        yield Part(table=Table("Approval", ("what", "value"), rows))


def _way_back(facts: Facts) -> Iterator[Part]:
    champion = facts.champion
    if champion is None:
        lines = ("This is the model's first release: there is no version to go back to.",)
        yield Part("The way back", lines=lines)
        return
    model, version = facts.release.model, champion.version
    through_github = commands.workflow(
        "model-rollback", model_name=model, model_version=version, reason=commands.REASON
    )
    yield Part(
        "The way back",
        lines=(f"To version {version}, deployment and alias together; nothing is built.",),
        code="\n".join(
            (through_github, commands.rollback(model, version=version, target=facts.target))
        ),
        language="console",
    )


def _links(facts: Facts) -> Sequence[Link]:
    release, found = facts.release, []
    if facts.registry.startswith(("http://", "https://")):
        base = facts.registry.rstrip("/")
        found.append(Link(f"release {release.id} in MLflow", f"{base}/#/runs/{release.id}"))
        model, version = release.model, release.version
        found.append(Link("model version", f"{base}/#/models/{model}/versions/{version}"))
        if source := release.source_run:
            found.append(Link(f"training run {source}", f"{base}/#/runs/{source}"))
    if run := release.approved.run:
        found.append(Link("workflow run", run))
    return found or [Link(f"release {release.id}, in a registry without pages", "")]
