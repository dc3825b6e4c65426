"""Evidence of two releases as stations leave it, in plain values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_release.page.facts import DescribedRelease, Facts
from model_release.releases.validation_report import ValidationReport

DIGEST = "sha256:" + "a" * 64
LIMITS = {
    "champion": {"max_regression": {"accuracy": 0.01}, "confidence": 0.95},
    "latency": {"single_p50_ms": 100.0, "single_p99_ms": 500.0},
}


def gate(name: str, status: str = "passed", **facts: float) -> dict[str, Any]:
    return {
        "gate": name,
        "status": status,
        "required": f"{name} required",
        "found": f"{name} found",
        "next_step": "",
        "facts": facts,
        "seconds": 0.1,
    }


GATES = [
    gate("integrity"),
    gate(
        "champion",
        regression_accuracy=-0.002,
        regression_low_accuracy=-0.006,
        regression_bound_accuracy=0.004,
    ),
    gate("slices"),
    gate("latency", single_p50_ms=25.0, single_p99_ms=50.0, size_mib=3.0),
]


def release(version: str, run: str, **tags: str) -> DescribedRelease:
    """A release that waits for its approver."""
    facts = {
        "release.model": "fraud",
        "release.version": version,
        "release.digest": DIGEST,
        "release.state": "open",
        "release.source_run": "5" * 32,
        "release.image": f"ghcr.io/octo-org/fraud@{DIGEST}",
        "release.image_digest": DIGEST,
        "release.base_image": f"python:3.11@{DIGEST}",
        "release.signed_by": "the configured key",
        "release.lock": "b" * 64,
        **{f"station.{name}": "passed" for name in ("validate", "build", "deploy-staging")},
        "station.smoke": "passed",
    }
    return DescribedRelease(
        id=run * 32,
        tags={**facts, **tags},
        report=ValidationReport.of(
            {
                "gates": GATES,
                "metrics": {
                    "accuracy": {"challenger": 0.962, "champion": 0.96},
                    "f1_macro": {"challenger": 0.9},
                },
                "limits": LIMITS,
                "slices": [
                    {
                        "column": "country",
                        "value": "DE",
                        "rows": 400,
                        "metrics": {"accuracy": 0.97},
                    },
                    {"column": "country", "value": "FR", "rows": 90, "metrics": {"accuracy": 0.91}},
                ],
            }
        ),
        lock=f"numpy==2.{version}.0 \\\n    --hash=sha256:0\npandas==3.0.0\n",
        checks=[{"name": "/ping", "required": "200", "found": "200", "passed": True}],
        sbom={"components": [{"type": "container"}, {"type": "library"}]},
        manifest=f"kind: Deployment\nimage: fraud:{version}\n",
        version_tags={"trained_by": "ada"},
        source_tags={"mlflow.user": "root", "mlflow.source.git.commit": "c" * 40},
    )


def facts(champion: bool = True, **tags: str) -> Facts:
    before = release("1", "1", **{"release.state": "released"}) if champion else None
    return Facts(release("2", "2", **tags), before, "https://mlflow.example.com", "kubernetes")


def altered(report: Mapping[str, Any], **tags: str) -> Facts:
    """The same with parts of the gate report exchanged."""
    found = facts(**tags)
    changed = ValidationReport.of({**found.release.report.document, **report})
    ours = replace(found.release, report=changed)
    return replace(found, release=ours)
