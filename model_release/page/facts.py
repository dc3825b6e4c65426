"""What a release's page is made of: evidence that stations left, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Evidence:
    """One release and what it is held against.

    Args:
        id: of the release's run.
        tags: of that run.
        report: `validate/report.json`.
        lock: text of its dependency lock; empty where the gates did not let it through.
        checks: of the smoke test in staging: name, required, found, passed.
        sbom: CycloneDX; None before the image was built.
        manifest: what production would be or was given, as YAML; empty without manifests.
        version: tags of the model version.
        source: tags of the training run.
    """

    id: str
    tags: Mapping[str, str]
    report: Mapping[str, Any]
    lock: str = ""
    checks: Sequence[Mapping[str, Any]] = ()
    sbom: Mapping[str, Any] | None = None
    manifest: str = ""
    version: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All that a page says.

    Args:
        release: the release itself.
        champion: the release of the champion that it was compared with; None for a first one.
        registry: address of MLflow, for links; empty where it has no pages.
        target: where it goes: local or kubernetes.
    """

    release: Evidence
    champion: Evidence | None
    registry: str
    target: str
