"""A model (from code) whose answer JSON cannot hold."""

import mlflow


class Unwritable(mlflow.pyfunc.PythonModel):
    """Answers an object."""

    def predict(self, context, model_input, params=None):  # noqa: ANN001, ANN201
        """See the class; without types, which MLflow would read as a signature."""
        return object()


mlflow.models.set_model(Unwritable())
