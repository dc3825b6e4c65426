"""A model (from code) that has its server tell of itself what a file says: `$LIE`, or nothing.

`python lying_model.py FOLDER` saves it as a context folder.
"""

import itertools
import json
import os
import re
import sys
import time
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

CALLS = itertools.count(1)
ASKED = itertools.count(1)
FAILING = ("errors", "denied", "inflated", "disguised")
DENIED = ("denied", "disguised", "gone")
COUNTS = re.compile(r'^(serving_requests_total\{status="(\d+)"\}) (\S+)$', re.MULTILINE)
BUCKETS = re.compile(
    r'^(serving_stage_seconds_bucket\{le="([^"]+)",stage="total"\}) (\S+)$', re.MULTILINE
)


def lie() -> str:
    """What is lied about now."""
    return Path(os.environ["LIE"]).read_text(encoding="utf-8")


def _all_in(text: str, count: str) -> str:
    """Each bucket from the first on holds so many requests."""
    return BUCKETS.sub(rf"\g<1> {count}", text)


def _inflated(text: str) -> str:
    """A hundred times as many good answers, each of them fast; the errors are as they are."""
    found = {status: float(value) for _, status, value in COUNTS.findall(text)}
    good = 100 * found["200"]
    text = COUNTS.sub(lambda line: f"{line[1]} {good if line[2] == '200' else line[3]}", text)
    return _all_in(text, str(good + sum(found.values()) - found["200"]))


def _backwards(text: str) -> str:
    """The more it answered, the less it says."""
    left = 10**6 - sum(float(value) for *_, value in COUNTS.findall(text))
    text = COUNTS.sub(lambda line: f"{line[1]} {left if line[2] == '200' else 0}", text)
    return _all_in(text, str(left))


def _boasting(text: str) -> str:
    """A hundred requests more, whenever it is asked."""
    more = 100 * next(ASKED)
    found = sum(float(value) for *_, value in COUNTS.findall(text))
    text = COUNTS.sub(
        lambda line: f"{line[1]} {float(line[3]) + (more if line[2] == '200' else 0)}", text
    )
    return _all_in(text, str(found + more))


TOLD = {
    "boasts": _boasting,
    "inflated": _inflated,
    "fast": lambda text: _all_in(text, BUCKETS.findall(text)[-1][2]),
    "diluted": lambda text: _all_in(text, str(10**6 + 100 * float(BUCKETS.findall(text)[-1][2]))),
    "backwards": _backwards,
    "nan": lambda text: COUNTS.sub(r"\g<1> NaN", text),
    "negative": lambda text: COUNTS.sub(r"\g<1> -1", text),
    "words": lambda text: COUNTS.sub(r"\g<1> many", text),
    "nothing": lambda text: "",
}  # fmt: skip


class Lying(mlflow.pyfunc.PythonModel):
    """Answers twice each row; what else it does depends on the lie."""

    def load_context(self, context) -> None:  # noqa: ANN001
        """Change the server in this process."""
        from serving.app import ServingApp
        from serving.metrics import Metrics
        from serving.protocol import Answer

        text, answered = Metrics.text, Metrics.answered
        other, invocations = ServingApp._other, ServingApp._invocations

        def told(self) -> bytes:  # noqa: ANN001
            return TOLD.get(lie(), str)(text(self).decode()).encode()

        def count(self, status: int) -> None:  # noqa: ANN001
            answered(self, 200 if lie() in DENIED else status)

        def look(self, path: str, method: str) -> Answer:  # noqa: ANN001
            if path == "/metrics" and lie() == "mute":
                return Answer(503, b'{"kind":"Status"}')
            return other(self, path, method)

        async def answer(self, headers, receive) -> Answer:  # noqa: ANN001
            found = await invocations(self, headers, receive)
            return Answer(200, b"[" * 10**5) if lie() == "babble" else found

        Metrics.text, Metrics.answered = told, count
        ServingApp._other, ServingApp._invocations = look, answer

    def predict(self, context, model_input, params=None):  # noqa: ANN001, ANN201
        """See the class; without types, which MLflow would read as a signature."""
        if lie() == "fast":
            time.sleep(0.1)
        fails = lie() in FAILING and next(CALLS) % 4 < 2  # two in turn: MLflow's code asks twice
        if lie() == "gone" or (fails and lie() == "disguised"):
            raise MlflowException("error trying to reach service: EOF")
        if fails:
            raise RuntimeError("one request in four fails")
        return [2 * value for value in model_input["a"]]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=__file__,
        signature=ModelSignature(inputs=Schema([ColSpec("double", "a")])),
        pip_requirements=["mlflow"],
    )
    names = ("model", "version", "digest", "release")
    release = {**dict.fromkeys(names, "lying"), "batching": False}
    (folder / "release.json").write_text(json.dumps(release), encoding="utf-8")
else:
    mlflow.models.set_model(Lying())
