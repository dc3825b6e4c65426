"""Row independence: whether the server may batch the requests of different callers."""

from pydantic import Field

from model_release.gates.evidence import Rows
from model_release.gates.outcome import GateLimits, Outcome, failed, passed

EVIDENCE = Rows


class Limits(GateLimits):
    """A row is answered alone as in a batch, which decides whether the server batches requests."""

    required: bool = Field(False, description="Whether a model that fails this is refused.")
    rows: int = Field(64, ge=2, description="Rows that are asked for alone and in one batch.")
    rtol: float = Field(1e-6, ge=0, description="Relative difference that still counts as equal.")
    atol: float = Field(1e-9, ge=0, description="Absolute difference that still counts as equal.")


def judge(evidence: Rows, limits: Limits) -> Outcome:
    """Pass, with the fact `independent` 1 or 0: only where all rows agree may the server batch."""
    required = "answers alone equal answers in a batch"
    if not limits.required:
        required += ", else requests are not batched"
    differing = [difference for difference in evidence.differences if difference != 0]
    # One row alone is no batch: it shows nothing.
    if not evidence.problem and not differing and len(evidence.differences) > 1:
        return passed(required, f"equal in {len(evidence.differences)} rows", independent=1.0)
    if evidence.problem or not differing:
        found = evidence.problem or f"{len(evidence.differences)} rows, too few to tell"
    else:
        share = f"{len(differing)} of {len(evidence.differences)} rows"
        found = f"{share} differ, by {max(differing):.3g} at most"
    if limits.required:
        return failed(
            required,
            found,
            "let the model answer each row by itself, or unset gates.row_independence.required",
            independent=0.0,
        )
    return passed(required, f"{found}: requests will not be batched", independent=0.0)
