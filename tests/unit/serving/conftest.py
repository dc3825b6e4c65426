"""MLflow warns about its own type hints at its first import: here that is no error."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc  # noqa: F401
