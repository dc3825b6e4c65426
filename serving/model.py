"""The loaded model: answers one request with MLflow's code, or many at once on the fast path."""

import copy
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc import FLAVOR_NAME, PyFuncModel, load_model

from serving.bounds import Bounds
from serving.context import ServedRelease
from serving.errors import ServingError
from serving.inputs import Parsed, Plan, plan_for
from serving.protocol import Answer, UnquotedError, answer, scoring_server
from serving.settings import Settings

JSON_TYPES = frozenset(
    (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
)
QUOTED_VALUES = 1000
"""Data of more values than this are not repeated to the caller who sent them."""
_logger = logging.getLogger(__name__)
_encode = scoring_server.NumpyEncoder().encode


class Timings(NamedTuple):
    """Seconds spent in one prediction; parse is 0 where that happened before it."""

    parse: float
    predict: float
    serialize: float


class ServedModel:
    """One model and the ways to ask it.

    Attributes:
        merges: whether rows of several requests may be predicted together.
    """

    def __init__(self, model: PyFuncModel, settings: Settings, *, merges: bool) -> None:
        self.merges = merges
        self._model = model
        metadata: Any = model.metadata
        hinted = metadata._is_signature_from_type_hint()
        self._bounds = Bounds(metadata.get_input_schema(), settings, hinted=hinted)
        self._plan = _plan(model)
        self._unenforced = _without_input_schema(model) if self._plan else model

    def parse(self, body: bytes, content_type: bytes | None) -> Parsed | None:
        """Read a request for `predict`, or None if only `answer` can handle it."""
        if self._plan is None or content_type not in JSON_TYPES:
            return None
        return self._plan.parse(body)

    def answer(self, body: bytes, content_type: str | None) -> tuple[Answer, Timings]:
        """Answer one request with MLflow's code from parsing to serialization."""
        timed = _Timed(self._model)
        started = time.perf_counter()
        result = answer(body, content_type, timed, self._bounds)
        ended = time.perf_counter()
        begun, done = timed.begun or ended, timed.done or ended
        return result, Timings(begun - started, done - begun, ended - done)

    def predict(self, requests: Sequence[Parsed]) -> tuple[list[Answer] | None, Timings]:
        """Predict the rows of all `requests` at once and split the answers.

        None instead of answers means: ask `answer` for each (the model failed on these rows, or
        its answer does not have one item per row; then nothing is merged any more).
        """
        assert self._plan is not None  # noqa: S101  what was parsed has a plan
        started = time.perf_counter()
        try:
            raw = self._unenforced.predict(self._plan.merge(requests))
        except Exception:  # noqa: BLE001  the model's error is answered request by request
            return None, Timings(0, time.perf_counter() - started, 0)
        predicted = time.perf_counter()
        answers = self._split(raw, requests)
        return answers, Timings(0, predicted - started, time.perf_counter() - predicted)

    def _split(self, raw: Any, requests: Sequence[Parsed]) -> list[Answer] | None:
        try:
            items = scoring_server._get_jsonable_obj(raw, pandas_orient="records")
            if len(requests) == 1:
                return [Answer(200, _encode({"predictions": items}).encode())]
            if not isinstance(items, list) or len(items) != sum(each.rows for each in requests):
                self.merges = False
                _logger.warning("requests are no longer merged: the answer is not one item per row")
                return None
            answers, start = [], 0
            for each in requests:
                part = items[start : start + each.rows]
                answers.append(Answer(200, _encode({"predictions": part}).encode()))
                start += each.rows
            return answers
        except Exception:  # noqa: BLE001  whose answer cannot be written is found one by one
            return None

    def warm(self, example: bytes) -> Answer:
        """Answer the input example; both paths must agree on it, or only MLflow's stays."""
        result, _ = self.answer(example, "application/json")
        parsed = self.parse(example, b"application/json")
        if parsed is not None and result.status == 200:
            answers, _ = self.predict([parsed])
            if answers is None or answers[0] != result:
                self._plan = None
                _logger.warning("the fast path is off: it answers the input example differently")
        return result


class _Timed:
    """What `scoring_server.invocations` needs of a model, with the time of its prediction."""

    def __init__(self, model: PyFuncModel) -> None:
        self.metadata = model.metadata
        self.begun = 0.0
        self.done = 0.0
        self._model = model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        self.begun = time.perf_counter()
        try:
            if _values(data) <= QUOTED_VALUES:
                return self._model.predict(data, params=params)
            return self._predict_much(data, params)
        finally:
            self.done = time.perf_counter()

    def _predict_much(self, data: Any, params: dict[str, Any] | None) -> Any:
        """As above, but a refusal does not quote the data: MLflow takes up to 0.1 ms a value.

        Raises:
            UnquotedError: MLflow or the model refuses the data.
        """
        try:
            return self._model.predict(self._framed(data), params=params)
        except MlflowException as error:
            error.message = f"Failed to predict more than {QUOTED_VALUES} values. {error.message}"
            raise UnquotedError(error) from error

    def _framed(self, data: Any) -> Any:
        """A list of objects as the table that enforcement makes of it first: a message shortens it.

        Raises:
            MlflowException: the signature is one of tensors, which no such list fits.
        """
        metadata: Any = self.metadata
        schema = metadata.get_input_schema()
        if not isinstance(data, list) or not schema or metadata._is_signature_from_type_hint():
            return data
        if schema.is_tensor_spec():
            raise MlflowException.invalid_parameter_value(
                f"The model's signature has tensors; {len(data)} objects do not fit it"
            )
        return pd.DataFrame(data)


def _values(data: Any) -> int:
    """How many values of their own MLflow's parser left in it; an array is one."""
    if isinstance(data, list):
        return sum(len(each) for each in data if isinstance(each, dict))
    return len(data) if isinstance(data, dict) else 0


def load_served_model(folder: Path, release: ServedRelease, settings: Settings) -> ServedModel:
    """Load the MLflow model in `folder` and let it answer its own input example, if it has one.

    Raises:
        ServingError: it does not load here, or does not answer its example.
    """
    try:
        served = ServedModel(load_model(str(folder)), settings, merges=release.batching)
    except Exception as error:
        raise ServingError(
            release.title,
            expected="a model that loads in this environment",
            found=f"{type(error).__name__}: {error}",
            next_step="start it in the environment of its lock, or validate the version again",
        ) from error
    example = folder / "serving_input_example.json"
    result = served.warm(example.read_bytes()) if example.is_file() else None
    if result is not None and result.status != 200:
        raise ServingError(
            release.title,
            expected="an answer to its own input example",
            found=f"status {result.status}: {result.body[:300].decode(errors='replace')}",
            next_step="validate the version again",
        )
    return served


def _plan(model: PyFuncModel) -> Plan | None:
    """The plan for a model whose signature is enforced by nothing but its schema."""
    metadata: Any = model.metadata
    if metadata._is_signature_from_type_hint() or metadata._is_type_hint_from_example():
        return None
    return plan_for(metadata.get_input_schema())


def _without_input_schema(model: PyFuncModel) -> PyFuncModel:
    """The same model without a schema to enforce: its inputs come from a plan, which did that."""
    metadata: Any = copy.copy(model.metadata)
    params = metadata.get_params_schema()
    metadata.signature = ModelSignature(params=params) if params else None
    flavor = metadata.flavors[FLAVOR_NAME]
    return PyFuncModel(
        model_meta=metadata,
        model_impl=model._model_impl,
        predict_fn=flavor.get("predict_fn", "predict"),
        model_id=model.model_id,
    )
