"""The release: an MLflow run in `releases/<model>` on which every station leaves its result.

Tags hold decisions, metrics hold measurements, artifacts hold evidence. A station writes its
evidence first and its tag last, so a station that was interrupted is one that has not happened.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from model_release import commands
from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.identity import short_id
from model_release.registry import Registry
from model_release.releases import binding, ledger, names
from model_release.releases.kept import KeptRelease
from model_release.releases.ledger import EXPERIMENTS
from model_release.releases.validation_report import ValidationReport

FORMAT = 2
"""Format 1 had no ledger: software that knows only format 1 must not write beside a ledger."""


def now() -> str:
    """The time in UTC as ISO 8601 with seconds, as every tag has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Release(KeptRelease):
    """One release as its run says it is now: its files as values, and what stations write."""

    @cached_property
    def report(self) -> ValidationReport:
        """What the gates said."""
        return ValidationReport(self.text(f"validate/{names.REPORT}"))

    @cached_property
    def lock(self) -> str:
        """The dependency lock, as pip reads it."""
        return self.text(f"validate/{names.LOCK}")

    @cached_property
    def golden(self) -> list[dict[str, object]]:
        """Golden cases: requests, and the answers that every server of it has to give."""
        cases: list[dict[str, object]] = self.json(f"validate/{names.GOLDEN}")
        return cases

    @cached_property
    def sbom(self) -> Mapping[str, Any]:
        """The image's bill of materials, CycloneDX."""
        found: Mapping[str, Any] = self.json(f"build/{names.SBOM}")
        return found

    @cached_property
    def checks(self) -> Sequence[Mapping[str, Any]]:
        """The checks of the smoke test in staging."""
        found: Sequence[Mapping[str, Any]] = self.json(f"smoke/{names.CHECKS}")
        return found

    @property
    def manifest(self) -> str:
        """What production was given, as YAML; empty where it was released without a manifest."""
        try:
            return self.text(f"deploy-production/{names.MANIFEST}")
        except UsageError:  # released before manifests were kept
            return ""

    def require_before(self, station: str, target: str = commands.WHICH_TARGET) -> None:
        """Check that the stations before this one let it on, and that all they left is as it was.

        `target` is the name of the target, for the command that is suggested.

        Raises:
            UsageError: one has not let it on; names the first.
            RefusedError: what one of them left was changed since.
        """
        for earlier in commands.before(station):
            if not self.passed(earlier):
                raise UsageError(
                    f"release {short_id(self.id)} of {self.model} {self.version}",
                    expected=f"station {earlier} passed",
                    found=self.result(earlier) or "not run",
                    next_step="run "
                    + commands.station(earlier, self.model, self.version, target=target),
                )
        self.check()

    def record(
        self,
        station: str,
        result: str,
        *,
        evidence: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        state: str | None = None,
    ) -> "Release":
        """Leave a station's result: evidence (file name → text), then metrics and tags at once.

        `result` is passed, refused or error. What lets the release on, or ends it, is bound; a
        station that may be run again leaves other files then. Returns the release as it is after
        that.

        Raises:
            RefusedError: something else is bound already; nothing was written.
        """
        written = dict(tags or {})
        written |= {names.result(station): result, names.ended(station): now()}
        if state:
            written[names.STATE] = state
        once: dict[str, str] = {}
        if result == "passed" or state:
            once = binding.facts({**self.tags, **self.bound, **written}, station)
            once |= binding.digests(evidence or {}, station)
            self._require_unbound(once)
        with _folder(evidence or {}) as folder:
            self.registry.write_run(
                self.id,
                evidence=(folder, station) if evidence else None,
                metrics=metrics,
                tags=written,
                parameters=once,
            )
        if state:
            self.registry.write_run(self.id, status="FINISHED" if state == "released" else "FAILED")
        return replace(self, tags={**self.tags, **written}, bound={**self.bound, **once})

    def _require_unbound(self, once: Mapping[str, str]) -> None:
        """Raise RefusedError where MLflow would not let these be written."""
        found = binding.known(self.registry.run_parameters(self.id))
        for name, value in once.items():
            if found.get(name, value) != value:
                raise RefusedError(
                    f"{name} of release {short_id(self.id)} of {self.model} {self.version}",
                    expected=value or "none",
                    found=f"{found[name] or 'none'}, which was written before and stays",
                    next_step="if nobody else ran this station just now, validate the version "
                    "again, which begins a new release: "
                    f"{commands.station('validate', self.model, self.version)}",
                )

    def keep(self, place: str, files: Mapping[str, str]) -> None:
        """Keep files (name → text) in a folder of the run; they belong to no station's result."""
        with _folder(files) as folder:
            tags = binding.digests(files, place)
            self.registry.write_run(self.id, evidence=(folder, place), tags=tags)

    def note(self, tags: Mapping[str, str]) -> "Release":
        """Add tags that belong to no station's result."""
        self.registry.write_run(self.id, tags=tags)
        return replace(self, tags={**self.tags, **tags})


@contextmanager
def _folder(files: Mapping[str, str]) -> Iterator[Path]:
    """A folder with these files (name → text), for as long as they are sent."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        yield Path(folder)


def load(registry: Registry, run_id: str) -> Release:
    """Read a release by its id.

    Raises:
        UsageError: no such run, or a run that is not a release.
        OutsideError: the release was written by a newer version of this software.
    """
    run = registry.run_record(run_id)
    tags, bound = run.tags, binding.known(run.parameters)
    place = EXPERIMENTS + bound.get(names.MODEL, tags.get(names.MODEL, ""))
    if names.FORMAT not in tags or run.experiment != place:
        raise UsageError(
            f"run {run_id}",
            expected="the run of a release",
            found=f"a run in the experiment {run.experiment}"
            if names.FORMAT in tags
            else f"a run without the tag {names.FORMAT}",
            next_step="give the id of a run in an experiment releases/<model>",
        )
    told = tags[names.FORMAT]
    if not told.isdecimal() or int(told) > FORMAT:
        raise OutsideError(
            f"release {run_id}",
            expected=f"format {FORMAT} or older",
            found=f"format {told}",
            next_step=ledger.NEWER,
        )
    return Release(run_id, tags, registry, bound=bound)


def exactly(registry: Registry, run_id: str, model: str, version: str, image: str) -> Release:
    """A release by its id, if it is one of this model version and, where named, of this image.

    Raises:
        UsageError: no such release.
        RefusedError: it is another version's, or its image is another one.
    """
    found = load(registry, run_id)
    told = (found.model, found.version, found.image_digest or "none")
    for what, wanted, is_ in zip(
        ("model", "version", "image"), (model, version, image or told[2]), told, strict=True
    ):
        if is_ != wanted:
            raise RefusedError(
                f"{what} of release {short_id(run_id)}",
                expected=wanted,
                found=is_,
                next_step="correct --release and --image-digest; or dispatch a new release",
            )
    return found


def newest(
    registry: Registry, model: str, version: str, *, state: str = "", validated: str = ""
) -> Release | None:
    """The newest release of a model version; of those in a state, or that the gates let on."""
    wanted = {names.VERSION: version, names.STATE: state, names.VALIDATED: validated}
    given = {key: value for key, value in wanted.items() if value}
    found = registry.find_runs(EXPERIMENTS + model, given)
    return load(registry, found[0]) if found else None


def released(registry: Registry, model: str) -> list[Release]:
    """Every release of a model that was ever champion, newest first."""
    found = registry.find_runs(EXPERIMENTS + model, {names.STATE: "released"})
    return [load(registry, each) for each in found]


def started(registry: Registry, model: str, version: str) -> Release:
    """The newest release of a model version.

    Raises:
        UsageError: it was never validated.
    """
    found = newest(registry, model, version)
    if found is None:
        raise UsageError(
            f"{model} {version}",
            expected="a release of this version, which validation begins",
            found="none",
            next_step=f"run {commands.station('validate', model, version)}",
        )
    return found


def start(
    registry: Registry, model: str, version: str, digest: str, tags: Mapping[str, str]
) -> Release:
    """Begin a release. An earlier one of this version that is still open gives way to it."""
    ledger.begin_ledger(registry, model)
    earlier = newest(registry, model, version, state="open")
    tags = {
        names.FORMAT: str(FORMAT),
        names.MODEL: model,
        names.VERSION: version,
        names.DIGEST: digest,
        names.STATE: "open",
        "mlflow.note.content": f"Release of {model} {version}, {digest}",
        **tags,
    }
    run_id = registry.create_run(EXPERIMENTS + model, f"{model}-{version}", tags)
    if earlier:
        earlier.note({names.STATE: "superseded", names.SUPERSEDED_BY: run_id})
        registry.write_run(earlier.id, status="KILLED")
    return Release(run_id, tags, registry)
