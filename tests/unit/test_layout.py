"""The tests' tree mirrors the library's: what decides has a test file of its name."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from model_release import ROOT

UNIT = Path(__file__).parent
DECIDES = "What decides"
"""How the contracts of what decides begin."""


def deciding_modules() -> Iterator[Path]:
    """The files of the modules that the import contracts name, and of the packages' modules."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    found = [each for each in contracts if each["name"].startswith(DECIDES)]
    for module in (name for each in found for name in each["source_modules"]):
        path = ROOT / module.replace(".", "/")
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def has_functions(module: Path) -> bool:
    """Whether there is anything to call: names and shapes alone decide nothing."""
    nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.FunctionDef) for node in nodes)


def file_of(module: Path) -> Path:
    """`gates/golden.py` → `gates/test_golden.py`, `gates/__init__.py` → `gates/test_gates.py`."""
    folder = module.parent.relative_to(ROOT / "model_release")
    name = module.parent.name if module.stem == "__init__" else module.stem
    return UNIT / folder / f"test_{name}.py"


def test_what_decides_has_a_test_file_of_its_name() -> None:
    modules = [each for each in deciding_modules() if has_functions(each)]
    missing = [str(file_of(each).relative_to(ROOT)) for each in modules]
    assert len(modules) > 30
    assert [each for each in missing if not (ROOT / each).exists()] == []
