"""The package goes into the image alone: it imports nothing else of this repository."""

import ast
from pathlib import Path

import serving

FOLDER = Path(serving.__file__).parent


def test_it_imports_nothing_of_the_rest() -> None:
    imported = {
        name.split(".")[0]
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "mlflow" in imported
    assert not imported & {
        "model_release",
        "scripts",
        "examples",
        "fastapi",
        "starlette",
    }


def test_pyarrow_is_imported_when_a_parquet_file_comes() -> None:
    """Not before: it takes part of a second, and not every environment has it."""
    at_the_top = {
        name
        for path in FOLDER.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [*(alias.name for alias in node.names), getattr(node, "module", None) or ""]
    }
    assert "mlflow.types" in at_the_top
    assert not [name for name in at_the_top if name.startswith("pyarrow")]
