"""Makes this folder the package `model_process`, wherever it lies, and serves its commands."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Answer commands until the pipeline closes the pipe."""
    sys.path.remove(str(HERE))  # a model's own module may be called `frames`
    spec = importlib.util.spec_from_file_location(
        "model_process", HERE / "__init__.py", submodule_search_locations=[str(HERE)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{HERE} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules["model_process"] = package
    spec.loader.exec_module(package)
    importlib.import_module("model_process.service").serve()


if __name__ == "__main__":
    main()
