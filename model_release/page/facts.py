"""The facts of a release's page: evidence that stations left, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_release.releases.record import Record
from model_release.releases.validation_report import ValidationReport


@dataclass(frozen=True)
class DescribedRelease(Record):
    """A release as its page reads it: with what its stations left, in plain values.

    Args:
        report: what the gates said.
        lock: text of its dependency lock; empty where the gates did not let it through.
        checks: of the smoke test in staging: name, required, found, passed.
        sbom: CycloneDX; None before the image was built.
        manifest: what production would be or was given, as YAML; empty without manifests.
        version_tags: of the model version.
        source_tags: of the training run.
    """

    report: ValidationReport
    lock: str = ""
    checks: Sequence[Mapping[str, Any]] = ()
    sbom: Mapping[str, Any] | None = None
    manifest: str = ""
    version_tags: Mapping[str, str] = field(default_factory=dict)
    source_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All that a page says.

    Args:
        release: the release itself.
        champion: the release of the champion that it was compared with; None for a first one.
        registry: address of MLflow, for links; empty where it has no pages.
        target: where it goes: local or kubernetes.
    """

    release: DescribedRelease
    champion: DescribedRelease | None
    registry: str
    target: str
