"""The release: an MLflow run in `releases/<model>` on which every station leaves its result.

Tags hold decisions, metrics hold measurements, artifacts hold evidence. A station writes its
evidence first and its tag last, so a station that was interrupted is one that has not happened.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_release import commands
from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.identity import Identity
from model_release.registry import Registry
from model_release.releases import ledger
from model_release.releases.ledger import EXPERIMENTS

FORMAT = 2
"""1 had no ledger: whoever only knows that must not write beside one."""


def now() -> str:
    """The time in UTC as ISO 8601 with seconds, as every tag has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Release:
    """One release as its run says it is now. `id` is the run's."""

    registry: Registry
    id: str
    tags: Mapping[str, str]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.tags["release.model"]

    @property
    def version(self) -> str:
        """Number of the model version."""
        return self.tags["release.version"]

    @property
    def digest(self) -> str:
        """Model digest that the gates judged."""
        return self.tags["release.digest"]

    @property
    def identity(self) -> Identity:
        """What a server of it answers to `GET /model`."""
        return Identity(self.model, self.version, self.digest, self.id)

    @property
    def state(self) -> str:
        """open, refused, released, or superseded by a later attempt."""
        return self.tags["release.state"]

    def passed(self, station: str) -> bool:
        """Whether a station let this release on."""
        return self.tags.get(f"station.{station}") == "passed"

    def require_before(self, station: str) -> None:
        """Raise UsageError naming the first station before this one that has not let it on."""
        for earlier in commands.before(station):
            if not self.passed(earlier):
                raise UsageError(
                    f"release {self.id[:8]} of {self.model} {self.version}",
                    expected=f"station {earlier} passed",
                    found=self.tags.get(f"station.{earlier}", "not run"),
                    next_step=commands.station(earlier, self.model, self.version),
                )

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

        `result` is passed, refused or error. Returns the release as it is after that.
        """
        written = dict(tags or {})
        written |= {f"station.{station}": result, f"station.{station}.at": now()}
        if state:
            written["release.state"] = state
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (evidence or {}).items():
                Path(folder, name).write_text(text, encoding="utf-8")
            place = (Path(folder), station) if evidence else None
            self.registry.write_run(self.id, evidence=place, metrics=metrics, tags=written)
        if state:
            self.registry.write_run(self.id, status="FINISHED" if state == "released" else "FAILED")
        return replace(self, tags={**self.tags, **written})

    def keep(self, place: str, files: Mapping[str, str]) -> None:
        """Keep files (name → text) in a folder of the run; they belong to no station's result."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                Path(folder, name).write_text(text, encoding="utf-8")
            self.registry.write_run(self.id, evidence=(Path(folder), place))

    def note(self, tags: Mapping[str, str]) -> "Release":
        """Add tags that belong to no station's result."""
        self.registry.write_run(self.id, tags=tags)
        return replace(self, tags={**self.tags, **tags})

    def text(self, path: str) -> str:
        """One evidence file, such as `validate/requirements.lock`."""
        return self.registry.read_run_file(self.id, path).decode("utf-8")

    def json(self, path: str) -> Any:
        """One evidence file that holds JSON."""
        return json.loads(self.text(path))


def load(registry: Registry, run_id: str) -> Release:
    """Read a release by its id.

    Raises:
        UsageError: no such run, or a run that is not a release.
        OutsideError: the release was written by a newer version of this software.
    """
    tags = registry.run_tags(run_id)
    if "release.format" not in tags:
        raise UsageError(
            f"run {run_id}", expected="a release", found="a run without release.format"
        )
    told = tags["release.format"]
    if not told.isdecimal() or int(told) > FORMAT:
        raise OutsideError(
            f"release {run_id}",
            expected=f"format {FORMAT} or older",
            found=f"format {told}",
            next_step=ledger.NEWER,
        )
    return Release(registry, run_id, tags)


def exactly(registry: Registry, run_id: str, model: str, version: str, image: str) -> Release:
    """A release by its id, if it is one of this model version and, where named, of this image.

    Raises:
        UsageError: no such release.
        RefusedError: it is another version's, or its image is another one.
    """
    found = load(registry, run_id)
    told = (found.model, found.version, found.tags.get("release.image_digest", "none"))
    for what, wanted, is_ in zip(
        ("model", "version", "image"), (model, version, image or told[2]), told, strict=True
    ):
        if is_ != wanted:
            raise RefusedError(
                f"{what} of release {run_id[:8]}",
                expected=wanted,
                found=is_,
                next_step="dispatch the release anew: somebody changed what the jobs share",
            )
    return found


def newest(registry: Registry, model: str, version: str, **tags: str) -> Release | None:
    """The newest release of a model version among those with `tags`, such as `state="open"`."""
    wanted = {"release.version": version} | {f"release.{key}": tags[key] for key in tags}
    found = registry.find_runs(EXPERIMENTS + model, wanted)
    return load(registry, found[0]) if found else None


def started(registry: Registry, model: str, version: str) -> Release:
    """The newest release of a model version.

    Raises:
        UsageError: it was never validated.
    """
    found = newest(registry, model, version)
    if found is None:
        raise UsageError(
            f"{model} {version}",
            expected="a release, which begins with validation",
            found="none",
            next_step=commands.station("validate", model, version),
        )
    return found


def start(
    registry: Registry, model: str, version: str, digest: str, facts: Mapping[str, str]
) -> Release:
    """Begin a release. An earlier one of this version that is still open gives way to it."""
    ledger.begin_ledger(registry, model)
    earlier = newest(registry, model, version, state="open")
    tags = {
        "release.format": str(FORMAT),
        "release.model": model,
        "release.version": version,
        "release.digest": digest,
        "release.state": "open",
        "mlflow.note.content": f"Release of {model} {version}, {digest}",
        **{f"release.{key}": value for key, value in facts.items()},
    }
    run_id = registry.create_run(EXPERIMENTS + model, f"{model}-{version}", tags)
    if earlier:
        earlier.note({"release.state": "superseded", "release.superseded_by": run_id})
        registry.write_run(earlier.id, status="KILLED")
    return Release(registry, run_id, tags)
