"""MLflow's scoring protocol, answered by MLflow's own code; docs/serving.md says what differs."""

import logging
import os
import traceback
from typing import Any, NamedTuple

import mlflow.pyfunc.scoring_server
from mlflow.exceptions import MlflowException

from serving.bounds import Bounds

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"

scoring_server: Any = mlflow.pyfunc.scoring_server  # MLflow has no types here
_logger = logging.getLogger(__name__)
_MODEL_RAISED = "Encountered an unexpected error while evaluating the model"
_WRITERS = {"predictions_to_json", "unwrapped_predictions_to_json"}


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


NO_CONTENT_TYPE = Answer(
    415,
    "This predictor only supports the following content types: Types:"
    f" {scoring_server.CONTENT_TYPES}. Got 'None'.".encode(),
    TEXT,
)
UNREADABLE = Answer(
    400, b'{"error_code": "BAD_REQUEST", "message": "Invalid input. The body cannot be read."}'
)
SERVER_ERROR = Answer(500, b"Internal Server Error", TEXT)
TIMED_OUT = Answer(504, b"Request processing time exceeded limit")


def enter_serving_environment() -> None:
    """Set what MLflow's scoring server sets, so that models see the same surroundings."""
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


class UnquotedError(BaseException):
    """A refusal of much data: one of MLflow's own MLflow would say with all of the data in it.

    No `Exception`, so that it passes through MLflow's code to `answer`.
    """

    def __init__(self, refusal: MlflowException) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def answer(body: bytes, content_type: str | None, model: Any, bounds: Bounds) -> Answer:
    """Parse, enforce, predict and serialize one request as MLflow's scoring server does.

    Args:
        body: the whole body of the request.
        content_type: its Content-Type header, None without one.
        model: the loaded model; its `metadata` and `predict` are used.
        bounds: what the body may become.
    """
    if content_type is None:
        return NO_CONTENT_TYPE
    schema = model.metadata.get_input_schema()
    try:
        data = bounds.read(body, content_type)
        result = scoring_server.invocations(data, content_type, model, schema)
    except UnquotedError as error:
        return _refusal(error.refusal)
    except MlflowException as error:
        return _refusal(error)
    except Exception as error:  # noqa: BLE001  what MLflow leaves to its web framework
        return _unexpected(error)
    mime = TEXT if result.mimetype == "text/plain" else result.mimetype.encode()
    return Answer(result.status, result.response.encode(), mime)


def _refusal(error: Any) -> Answer:
    """MLflow's JSON for its own exceptions, without the stack trace."""
    status = error.get_http_status_code()
    trace = error.json_kwargs.pop("stack_trace", None)
    if trace and error.message.startswith(_MODEL_RAISED):
        log_failure("prediction", error.__context__ or error)
    return Answer(status, error.serialize_as_json().encode())


def _unexpected(error: Exception) -> Answer:
    """400 for a body that MLflow's parser trips over, 500 for an answer that cannot be written."""
    frames = {frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)}
    if frames & _WRITERS:
        log_failure("serialization of the model's answer", error)
        return SERVER_ERROR
    return UNREADABLE


def log_failure(stage: str, error: BaseException) -> None:
    """Log where it failed, but not the exception's message: that may quote the payload."""
    places = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    _logger.error("%s failed: %s\n%s", stage, type(error).__name__, places)
