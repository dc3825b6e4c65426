"""Rooms and names: how much a folder holds, and that one name means one thing."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_release import ROOT

LIBRARY = ROOT / "model_release"
MODULES = sorted(LIBRARY.rglob("*.py"))
TARGETS = (LIBRARY / "targets/local", LIBRARY / "targets/kubernetes")
"""Two answers to one interface: what is the same on both has the same name."""

OF_EVERY_GATE = {"Limits", "judge"}
OF_EVERY_PROGRAM = {"main"}
WITHOUT_FUNCTION = {
    "audit_release": "an Audit, which looks and mends",
    "describe_gates": "what is generated, written or checked",
}
"""Scripts whose module has no function of their name, and what it has."""


def _name(path: Path) -> str:
    """What a module is called in one word: a package by its folder."""
    return path.parent.name if path.stem == "__init__" else path.stem


def _kind(path: Path) -> str:
    """Modules of one kind may share a name: the two targets, and the gates."""
    for folder in TARGETS:
        if path.is_relative_to(folder):
            return "target"
    return "gate" if path.parent == LIBRARY / "gates" else str(path)


def _public(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name


def _is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return path.with_suffix(".py").is_file() or path.is_dir()


def test_a_folder_holds_one_subject() -> None:
    assert len([path for path in LIBRARY.glob("*.py") if path.stem != "__init__"]) <= 10
    crowded = {
        str(folder.relative_to(ROOT)): len(list(folder.glob("*.py")))
        for folder in {path.parent for path in MODULES}
        if len(list(folder.glob("*.py"))) > 19
    }
    assert crowded == {}


@pytest.mark.parametrize("script", sorted(path.stem for path in (ROOT / "scripts").glob("*.py")))
def test_a_script_has_a_module_of_its_name(script: str) -> None:
    found = [path.parent.name for path in MODULES if path.stem == script]
    assert found in (["stations"], ["operations"])


@pytest.mark.parametrize("script", sorted(path.stem for path in (ROOT / "scripts").glob("*.py")))
def test_a_module_of_a_script_has_a_function_of_its_name(script: str) -> None:
    (path,) = [path for path in MODULES if path.stem == script]
    assert (script in _public(path)) != (script in WITHOUT_FUNCTION), f"{path}: {[*_public(path)]}"


def test_no_two_modules_have_one_name() -> None:
    kinds = defaultdict(set)
    for path in MODULES:
        if path.stem != "__main__":
            kinds[_name(path)].add(_kind(path))
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


def test_no_public_name_stands_for_two_things() -> None:
    """`commands` says each script's command line under the script's own name."""
    places = defaultdict(set)
    commands = LIBRARY / "commands.py"
    for path in [*MODULES, *sorted((ROOT / "serving").glob("*.py"))]:
        for name in _public(path) if path != commands else ():
            if not (_kind(path) == "gate" and name in OF_EVERY_GATE):
                places[name].add(_kind(path))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in twice.items() if name not in OF_EVERY_PROGRAM} == {}


def test_no_module_is_imported_under_another_name() -> None:
    found = []
    for folder in ("model_release", "serving", "scripts", "benchmarks", "examples", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.is_relative_to(ROOT / "tests/data"):  # code of an earlier version
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and not node.level:
                    found += [
                        f"{path.relative_to(ROOT)}: {node.module}.{name.name} as {name.asname}"
                        for name in node.names
                        if name.asname
                        and name.name != "__main__"
                        and _is_module(f"{node.module}.{name.name}")
                    ]
    assert found == []
