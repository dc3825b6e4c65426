"""Integrity: the registry holds the files that this release is about."""

from model_release.gates.evidence import Files
from model_release.gates.outcome import GateLimits, Outcome, failed, passed
from model_release.identity import short_digest

EVIDENCE = Files


class Limits(GateLimits):
    """Files match the digest recorded for this release; the version is READY."""


def judge(evidence: Files, limits: Limits) -> Outcome:
    """Pass when the version is READY, has files, and they have the release's digest."""
    del limits
    required = "status READY, files as recorded"
    if evidence.status != "READY":
        return failed(required, f"status {evidence.status}", "register the version again")
    if evidence.recorded not in (None, evidence.digest):
        return failed(
            f"digest {evidence.recorded}",
            f"digest {evidence.digest}",
            f"register the files as a new version: those of {evidence.name} {evidence.version} "
            "changed after they were validated",
        )
    found = (
        f"{evidence.count} files, {evidence.size_bytes:,} bytes, {short_digest(evidence.digest)}…"
    )
    return passed(required, found, size_bytes=evidence.size_bytes)
