"""Loadable: the model loads in its own environment, without the pipeline's secrets."""

from pydantic import Field

from model_release.gates.evidence import Load
from model_release.gates.outcome import GateLimits, Outcome, failed, passed

EVIDENCE = Load
MIB = 1024 * 1024


class Limits(GateLimits):
    """Loads in its own environment, without the pipeline's secrets, within time and memory."""

    max_seconds: float = Field(120.0, gt=0, description="Time that loading may take, in seconds.")
    max_memory_mib: float = Field(
        4096.0,
        gt=0,
        description="Peak resident memory of the process, and what it started, after loading, in "
        "MiB.",
    )


def judge(evidence: Load, limits: Limits) -> Outcome:
    """Pass when the model loaded within its limits."""
    required = f"loads within {limits.max_seconds:g} s and {limits.max_memory_mib:g} MiB"
    if evidence.problem:
        return failed(
            required,
            evidence.problem,
            "make mlflow.pyfunc.load_model work where only the model's requirements are installed",
        )
    memory_mib = evidence.memory_bytes / MIB
    found = f"{evidence.seconds:.2f} s, {memory_mib:.0f} MiB"
    facts = {"load_seconds": evidence.seconds, "load_memory_mib": memory_mib}
    if 0 <= evidence.seconds <= limits.max_seconds and 0 < memory_mib <= limits.max_memory_mib:
        return passed(required, found, **facts)
    return failed(
        required, found, "make the model smaller, or raise gates.loadable for this model", **facts
    )
