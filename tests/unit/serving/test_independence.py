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
        "pyarrow",
    }
