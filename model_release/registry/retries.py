"""Retries of calls to MLflow: transient faults are tried again, refusals are not.

MLflow's own retries are switched off; its time limit a request stays.
A call that may have been done before its answer was lost is done again, so every write that goes
through here is one that may be repeated: an alias, a tag, a parameter with the same value.
"""

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

from model_release.errors import UsageError

T = TypeVar("T")

MLFLOW_SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""Whatever the environment says: MLflow itself does not retry, as the two would multiply."""

RETRY_VARIABLE = "REGISTRY_RETRY_SECONDS"
RETRY_SECONDS = "90"
FIRST_SECONDS = 6.0
"""As long as nothing ever answered, the address is likely wrong: that is told soon."""

DEFINITE = (
    "BAD_REQUEST",
    "CUSTOMER_UNAUTHORIZED",
    "ENDPOINT_NOT_FOUND",
    "FEATURE_DISABLED",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "NOT_FOUND",
    "NOT_IMPLEMENTED",
    "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
    "UNAUTHENTICATED",
)
"""MLflow's error codes that the same call would meet again."""

LASTING = re.compile(
    r"unable to open database|disk is full|readonly database|no such table|password authentication"
    r"|CERTIFICATE_VERIFY_FAILED|Invalid url"
)
"""What a text says that the same call would meet again."""


def transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: no answer, a server's fault, a busy database."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    if LASTING.search(str(error)):
        return False
    if isinstance(error, MlflowException):
        return error.error_code not in DEFINITE
    return isinstance(error, (requests.RequestException, OperationalError))


def refused(error: BaseException) -> bool:
    """Whether nobody listens at the address, or there is no such host."""
    said = str(error)
    return "NewConnectionError" in said or "NameResolutionError" in said


def retry_seconds() -> float:
    """Seconds for which a call is tried again, from REGISTRY_RETRY_SECONDS.

    Raises:
        UsageError: that is no number of seconds.
    """
    text = os.environ.get(RETRY_VARIABLE) or RETRY_SECONDS
    try:
        return max(0.0, min(float(text), 3600.0))
    except ValueError as error:
        raise UsageError(
            f"{RETRY_VARIABLE}={text}",
            expected="a number of seconds",
            next_step=f"set {RETRY_VARIABLE} to a number such as {RETRY_SECONDS}, or unset it",
        ) from error


class RetriedCalls:
    """An object whose calls are tried again while their fault is transient."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._seconds = retry_seconds()
        self._answered = False
        self.attempts = 0
        """How often the last call was tried."""

    @property
    def once(self) -> Any:
        """The object itself, for a call that must not be done twice."""
        return self._target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)
        return lambda *arguments, **named: self.call(lambda: method(*arguments, **named))

    def call(self, action: Callable[[], T]) -> T:
        """Run `action`, again with growing pauses (0.2 to 5 s) until it answers or time is up.

        Raises:
            Exception: what the last attempt raised.
        """
        import tenacity

        def out_of_time(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            hopeless = error is not None and not self._answered and refused(error)
            limit = min(FIRST_SECONDS, self._seconds) if hopeless else self._seconds
            return tenacity.stop_before_delay(limit)(state)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(transient),
            wait=tenacity.wait_random_exponential(multiplier=0.2, min=0.2, max=5.0),
            stop=out_of_time,
            reraise=True,
        )
        try:
            answer = retrying(action)
        finally:
            self.attempts = int(retrying.statistics.get("attempt_number", 1))
        self._answered = True
        return answer
