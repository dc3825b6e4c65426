"""The imports of a start are nearly all of its time: what makes them a fifth shorter."""

import gc
import importlib
from contextlib import suppress
from pathlib import Path


def prepare(model: Path) -> None:
    """Get ready to import MLflow and what a model needs; `serving.app` may be imported then.

    Args:
        model: folder of the MLflow model.
    """
    gc.disable()  # imports leave no garbage to look for; create_app collects, and enables it
    if next(model.rglob("*.skops"), None):
        # It looks for the home of each ufunc in all modules that there are: before MLflow, these
        # are two thousand fewer.
        with suppress(ImportError):  # said when the model is loaded
            importlib.import_module("skops.io")
