"""A model (from code) whose answer JSON cannot hold."""

from typing import Any

import mlflow


class Unwritable(mlflow.pyfunc.PythonModel):
    """Answers an object."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        return object()


mlflow.models.set_model(Unwritable())
