"""Golden predictions: requests are kept with their answers, and smoke tests repeat them."""

from pydantic import Field

from model_release.answers import Tolerances
from model_release.gates.evidence import Golden
from model_release.gates.outcome import GateLimits, Outcome, failed, passed

EVIDENCE = Golden


class Limits(GateLimits):
    """The model answers its own input example and a sample of the holdout; the answers are kept."""

    rows: int = Field(16, ge=1, description="Rows of the holdout that are kept with their answers.")
    rtol: float = Field(
        Tolerances.rtol, ge=0, description="Relative difference that a smoke test accepts."
    )
    atol: float = Field(
        Tolerances.atol, ge=0, description="Absolute difference that a smoke test accepts."
    )

    @property
    def tolerances(self) -> Tolerances:
        """How far a server's answers may be from those kept."""
        return Tolerances(self.rtol, self.atol)


def judge(evidence: Golden, limits: Limits) -> Outcome:
    """Pass when there is a case, and each has a request and an answer."""
    del limits
    required = "requests with their answers"
    if evidence.problem:
        return failed(required, evidence.problem, "make the model answer its own input example")
    unanswered = [
        str(case.get("name", "unnamed"))
        for case in evidence.cases
        if case.get("request") is None or case.get("predictions") in (None, [], {})
    ]
    if unanswered or not evidence.cases:
        return failed(
            required,
            f"no answer to {', '.join(unanswered)}" if unanswered else "no request to ask",
            "log the model with input_example=, and make it answer this example",
        )
    names = ", ".join(str(case.get("name", "unnamed")) for case in evidence.cases)
    return passed(
        required, f"{len(evidence.cases)} kept: {names}", golden_cases=len(evidence.cases)
    )
