"""What stands on a release's page, section by section (pure)."""

import difflib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_release import commands
from model_release.image.sbom import PACKAGE
from model_release.page import Bar, Interval, Link, Page, Section, Step
from model_release.page.facts import Evidence, Facts
from model_release.report import Table

NONE = "–"
DIFF_LINES = 400
"""More of a manifest's difference than this nobody reads on a page."""


MOST_SLICES = 30


def page(facts: Facts) -> Page:
    """The page of a release as it stands now."""
    release = facts.release
    model, version = release.tags["release.model"], release.tags["release.version"]
    sections = (
        Section("The road", steps=_steps(release)),
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
        Section("Where to look", links=_links(facts)),
    )
    return Page(f"{model} {version}", _lead(facts), sections)


def _lead(facts: Facts) -> str:
    release, champion = facts.release, facts.champion
    name = f"{release.tags['release.model']} {release.tags['release.version']}"
    if release.tags["release.state"] == "released":
        return f"{name} is champion since {release.tags.get('champion.since', 'its release')}."
    refused = [step.name for step in _steps(release) if step.outcome == "refused"]
    if refused:
        return f"{name} was refused at {refused[0]}; production is as it was."
    instead = f"in place of version {champion.tags['release.version']}" if champion else "as first"
    return f"Whoever approves lets {name} into production, {instead}."


def _steps(release: Evidence) -> tuple[Step, ...]:
    found, waiting = [], False
    for station in commands.STATIONS:
        outcome = release.tags.get(f"station.{station}", "")
        if not outcome:
            outcome = "not reached" if waiting else "waiting"
        waiting = waiting or outcome != "passed"
        found.append(Step(station, outcome))
    return tuple(found)


def _changes(facts: Facts) -> Iterator[Section]:
    ours, theirs = facts.release, facts.champion
    rows = [
        (name, value(theirs) if theirs else NONE, value(ours))
        for name, value in (
            ("version", _tag("release.version")),
            ("model digest", _tag("release.digest")),
            ("source run", _tag("release.source_run")),
            ("author", lambda e: e.version.get("trained_by") or e.source.get("mlflow.user", NONE)),
            ("training commit", lambda e: e.source.get("mlflow.source.git.commit", NONE)),
            ("training code", lambda e: e.source.get("mlflow.source.name", NONE)),
            ("limits", _tag("release.config")),
            ("pipeline commit", _tag("release.commit")),
            ("image", _tag("release.image_digest")),
            ("base image", _tag("release.base_image")),
        )
    ]
    title = f"champion {theirs.tags['release.version']}" if theirs else "champion (none yet)"
    yield Section("What changes", table=Table("", ("what", title, "this release"), rows))
    yield _dependencies(ours.lock, theirs.lock if theirs else "")


def _tag(name: str) -> Any:
    return lambda evidence: evidence.tags.get(name) or NONE


def _dependencies(ours: str, theirs: str) -> Section:
    new, old = dict(PACKAGE.findall(ours)), dict(PACKAGE.findall(theirs))
    rows = [
        (name, old.get(name, NONE), new.get(name, NONE))
        for name in sorted(new.keys() | old.keys())
        if new.get(name) != old.get(name)
    ]
    if not theirs:
        return Section("Dependencies", lines=(f"{len(new)} locked packages; no champion yet.",))
    if not rows:
        return Section("Dependencies", lines=(f"The same {len(new)} packages, by version.",))
    return Section("Dependencies", table=Table("", ("package", "champion", "this release"), rows))


def _gates(release: Evidence) -> Iterator[Section]:
    rows = [
        (gate["gate"], gate["status"], gate["required"], gate["found"])
        for gate in release.report["gates"]
    ]
    yield Section("Gates", table=Table("", ("gate", "outcome", "required", "found"), rows))


def _comparison(release: Evidence) -> Iterator[Section]:
    facts = _gate_facts(release, "champion")
    allowed = _limits(release, "champion").get("max_regression", {})
    intervals = [
        Interval(
            name,
            facts[f"regression_low_{name}"],
            facts[f"regression_{name}"],
            facts[f"regression_bound_{name}"],
            margin,
        )
        for name, margin in allowed.items()
        if f"regression_bound_{name}" in facts and f"regression_low_{name}" in facts
    ]
    by_name = {each.label: each for each in intervals}
    rows = []
    for name, pair in release.report["metrics"].items():
        found = by_name.get(name)
        interval = f"{found.low:+.4g} … {found.high:+.4g}" if found else NONE
        margin = f"{found.allowed:.4g}" if found else NONE
        values = (_number(pair.get("champion")), _number(pair.get("challenger")))
        rows.append((name, *values, interval, margin))
    if not rows:
        return
    level = _limits(release, "champion").get("confidence", 0.95)
    said = f"worse by ({2 * level - 1:.0%} interval)"
    columns = ("metric", "champion", "this release", said, "allowed")
    lines = ("Both models answered the same holdout rows. Below 0 this release is better.",)
    yield Section(
        "Champion against challenger",
        lines=lines if intervals else (),
        table=Table("", columns, rows),
        intervals=intervals,
    )


def _slices(release: Evidence) -> Iterator[Section]:
    found = release.report.get("slices") or ()
    if not found:
        return
    names = list(dict.fromkeys(name for each in found for name in each["metrics"]))
    shown = sorted(found, key=lambda each: min(each["metrics"].values(), default=0.0))[:MOST_SLICES]
    rows = [
        (
            f"{each['column']} = {each['value']}",
            str(each["rows"]),
            *(_number(each["metrics"].get(name)) for name in names),
        )
        for each in shown
    ]
    more = len(found) - len(shown)
    lines = (f"The lowest; {more} more are in validate/report.json.",) if more else ()
    yield Section("Slices", lines=lines, table=Table("", ("slice", "rows", *names), rows))


def _latency(release: Evidence) -> Iterator[Section]:
    facts, limits = _gate_facts(release, "latency"), _limits(release, "latency")
    bars = [
        Bar(name.removesuffix("_ms").replace("_", " "), value, limits.get(name), "ms")
        for name, value in facts.items()
        if name.endswith("_ms")
    ]
    if bars:
        lines = (
            "In the model's own process when the gates ran; the bar is the share of its limit.",
        )
        yield Section("Latency", lines=lines, bars=bars)


def _smoke(release: Evidence) -> Iterator[Section]:
    rows = [
        (row["name"], "passed" if row["passed"] else "failed", row["required"], row["found"])
        for row in release.checks
    ]
    if rows:
        columns = ("check", "outcome", "required", "found")
        yield Section("Smoke test in staging", table=Table("", columns, rows))


def _image(release: Evidence) -> Iterator[Section]:
    if not release.sbom:
        return
    parts = release.sbom["components"]
    rows = [
        ("image", release.tags.get("release.image", NONE)),
        ("base image", release.tags.get("release.base_image", NONE)),
        ("signed by", release.tags.get("release.signed_by") or "nobody: signing is not set up"),
        ("bill of materials", f"build/sbom.cdx.json, CycloneDX, {len(parts)} components"),
        ("dependency lock", f"sha256 {release.tags.get('release.lock', NONE)}"),
    ]
    yield Section("Image", table=Table("", ("what", "value"), rows))


def _manifest(facts: Facts) -> Iterator[Section]:
    ours, theirs = facts.release.manifest, facts.champion.manifest if facts.champion else ""
    if not ours:
        return
    if not theirs:
        lines = ("Nothing of this model is in production yet; these are its manifests.",)
        yield Section("Manifests of production", lines=lines, code=ours, language="yaml")
        return
    difference = list(
        difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "now", "then", lineterm="")
    )
    if len(difference) > DIFF_LINES:
        difference = [*difference[:DIFF_LINES], f"… {len(difference) - DIFF_LINES} more lines"]
    yield Section(
        "Manifests of production",
        lines=() if difference else ("They do not change.",),
        code="\n".join(difference),
        language="diff",
    )


def _approval(release: Evidence) -> Iterator[Section]:
    names = ("by", "at", "how", "comment", "dispatcher", "trainer", "run")
    rows = [(name, release.tags.get(f"approval.{name}", "")) for name in names]
    if rows[0][1]:
        yield Section(
            "Approval", table=Table("", ("what", "value"), [row for row in rows if row[1]])
        )


def _way_back(facts: Facts) -> Iterator[Section]:
    champion = facts.champion
    if champion is None:
        lines = ("This is the model's first release: there is no version to go back to.",)
        yield Section("The way back", lines=lines)
        return
    model, version = facts.release.tags["release.model"], champion.tags["release.version"]
    yield Section(
        "The way back",
        lines=(f"To version {version}, deployment and alias together; nothing is built.",),
        code="\n".join(rollback(model, version, facts.target)),
        language="console",
    )


def rollback(model: str, version: str, target: str) -> tuple[str, str]:
    """The commands that put a version back: through GitHub, and from a checkout."""
    name, number, reason = shlex.quote(model), shlex.quote(version), '"why"'
    return (
        f"gh workflow run model-rollback.yaml -f model_name={name} -f model_version={number} "
        f"-f reason={reason}",
        f"python scripts/rollback_model.py --model-name {name} --model-version {number} "
        f"--reason {reason} --target {shlex.quote(target)}",
    )


def _links(facts: Facts) -> Sequence[Link]:
    release, found = facts.release, []
    if facts.registry.startswith(("http://", "https://")):
        base = facts.registry.rstrip("/")
        found.append(Link(f"release {release.id} in MLflow", f"{base}/#/runs/{release.id}"))
        model, version = release.tags["release.model"], release.tags["release.version"]
        found.append(Link("model version", f"{base}/#/models/{model}/versions/{version}"))
        if source := release.tags.get("release.source_run"):
            found.append(Link(f"training run {source}", f"{base}/#/runs/{source}"))
    if run := release.tags.get("approval.run"):
        found.append(Link("workflow run", run))
    return found or [Link(f"release {release.id}, in a registry without pages", "")]


def _gate_facts(release: Evidence, gate: str) -> Mapping[str, float]:
    return next((g["facts"] for g in release.report["gates"] if g["gate"] == gate), {})


def _limits(release: Evidence, gate: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (release.report.get("limits") or {}).get(gate, {})
    return found


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"
