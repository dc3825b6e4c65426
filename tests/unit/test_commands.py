"""Every command that is suggested runs as it stands, and no module spells one by itself."""

import argparse
import ast
import inspect
import re
import runpy
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model_release import ROOT, cli, commands

Parse = Callable[[str], argparse.Namespace | None]

SOURCES = [
    path
    for folder in ("model_release", "scripts", "examples")  # serving/ cannot import commands
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != ROOT / "model_release" / "commands.py"
]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
GOALS = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()  # type: ignore[index]
VARIABLES = set(re.findall(r"\b([A-Z][A-Z_]+)(?:=| [:?]?= )", MAKEFILE))
SCRIPTS = [path.name for path in (ROOT / "scripts").glob("*.py")]

SPELLED = re.compile(
    # A script's name and a colon is no command: so a record says by what it was made.
    rf"scripts/\S*\.py|\b({'|'.join(SCRIPTS)})\b(?!:)|gh workflow"
    rf"|\bmake ({'|'.join(GOALS)}|\{{\}})(?!\w)"
)
SAMPLES = {"name": "validate", "environment": "staging", "target": "local", "fix": True}
"""What a value may be that the source does not say; any other is "2"."""


def texts(tree: ast.Module) -> Iterator[str]:
    """Every string of a module that is a value, not a docstring; `{}` for what is filled in."""
    nodes = list(ast.walk(tree))
    left_out = {node.value for node in nodes if isinstance(node, ast.Expr)}
    left_out |= {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if node in left_out:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def sample(node: ast.AST, name: str) -> Any:
    """A value that an argument of that name may have: what the source says, as far as it does."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(sample(part, name) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return sample(node.value, ast.unparse(node.value))
    return SAMPLES.get(name, "2")


def suggested(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and command of every call of a function of `commands` that makes one."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        called = node.func.attr
        if ast.unparse(node.func.value) != "commands" or called == "before":
            continue
        build = getattr(commands, called)
        names = [*inspect.signature(build).parameters, *[""] * len(node.args)]
        values = [sample(each, name) for each, name in zip(node.args, names, strict=False)]
        options = {str(each.arg): sample(each.value, str(each.arg)) for each in node.keywords}
        yield node.lineno, build(*values, **options)


SUGGESTED = [
    pytest.param(command, id=f"{path.relative_to(ROOT)}:{line}")
    for path in SOURCES
    for line, command in suggested(ast.parse(path.read_text(encoding="utf-8")))
]


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Have a script parse its command line, and go no further; what it took is returned."""
    for variable in ("MODEL_NAME", "MODEL_VERSION", "RELEASE_ID", "ROLLBACK_REASON"):
        monkeypatch.delenv(variable, raising=False)

    def parsed(command: str) -> argparse.Namespace | None:
        found: list[argparse.Namespace] = []

        def stop(options: argparse.ArgumentParser, argv: Sequence[str], _: cli.Action) -> int:
            found.append(options.parse_args(argv))
            return 0

        monkeypatch.setattr(cli, "run", stop)
        program, path, *words = shlex.split(command)
        assert program == "python"
        assert runpy.run_path(str(ROOT / path))["main"](words) == 0
        return found[0] if found else None  # describe_gates.py, which is small, has run

    return parsed


@pytest.mark.parametrize("command", SUGGESTED)
def test_a_command_that_is_suggested_runs_as_it_stands(command: str, parse: Parse) -> None:
    match shlex.split(command):
        case ["python", *_]:
            taken = parse(command)
            assert taken is None or getattr(taken, "model_name", "none is needed")
            if command.startswith("python scripts/rollback_model.py"):
                assert taken
                assert taken.reason
        case ["make", goal, *variables]:
            assert goal in GOALS
            assert {each.partition("=")[0] for each in variables} <= VARIABLES
        case ["gh", "workflow", "run", name, *fields]:
            text = (ROOT / ".github/workflows" / name).read_text(encoding="utf-8")
            dispatch = yaml.load(text, yaml.BaseLoader)["on"]["workflow_dispatch"]
            assert {each.partition("=")[0] for each in fields[1::2]} <= set(dispatch["inputs"])
        case other:
            pytest.fail(f"neither python nor make nor gh: {other}")


@pytest.mark.parametrize("station", commands.STATIONS)
def test_a_station_is_a_script(station: str, parse: Parse) -> None:
    taken = parse(commands.station(station, "iris", "2"))
    assert taken
    assert (taken.model_name, taken.model_version) == ("iris", "2")
    where = {
        "deploy-staging": "staging",
        "deploy-production": "production",
        "approve": "production",
    }
    assert getattr(taken, "environment", "") == where.get(station, "")


@pytest.mark.parametrize("station", commands.STATIONS)
def test_a_station_goes_to_a_target_where_it_has_one(station: str, parse: Parse) -> None:
    taken = parse(commands.station(station, "iris", target="kubernetes"))
    assert getattr(taken, "target", "none") == (
        "none" if station in ("validate", "build") else "kubernetes"
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_spells_a_command(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [text for text in texts(tree) if SPELLED.search(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        '"python scripts/audit_release.py"',
        'f"python scripts/{name}.py --fix"',
        '"go back with rollback_model.py --release 1"',
        '"see release_history.py, then start again"',
        '"make stop, then go on"',
        'f"make {goal}"',
        'f"gh workflow run {name}"',
    ],
)
def test_a_command_that_is_spelled_is_found(text: str) -> None:
    assert [each for each in texts(ast.parse(f"told({text})")) if SPELLED.search(each)]
    assert list(texts(ast.parse(text))) == [], "as a docstring it is none"


def documented() -> Iterator[Any]:
    """The commands that stand in lines of their own in what people read."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^    (?:\.venv/bin/)?((?:python scripts/|make ).*)$", text, re.M):
            yield pytest.param(
                shlex.join(shlex.split(line, comments=True)), id=f"{path.name}: {line[:60]}"
            )


@pytest.mark.parametrize("command", list(documented()))
def test_a_command_of_the_docs_runs_as_it_stands(command: str, parse: Parse) -> None:
    if command.startswith("python"):
        taken = parse(command)
        assert taken
        assert getattr(taken, "model_name", "none is needed")
    else:
        _, goal, *variables = shlex.split(command)
        assert goal in GOALS
        assert {each.partition("=")[0] for each in variables} <= VARIABLES


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_value_is_one_word_of_a_shell_whatever_it_holds(value: str) -> None:
    assert shlex.split(commands.rollback("iris", reason=value))[-1] == value
    assert shlex.split(commands.release("iris", approve=value))[-1] == f"APPROVE={value}"
    assert shlex.split(commands.workflow("x", reason=value))[-1] == f"reason={value}"


def test_options_that_say_nothing_are_left_out() -> None:
    assert commands.audit("iris") == "python scripts/audit_release.py --model-name iris"
    assert commands.audit("iris", fix=True, target="local") == (
        "python scripts/audit_release.py --model-name iris --target local --fix"
    )
    assert commands.release("iris", "2", approve="name") == (
        "make release MODEL=iris VERSION=2 APPROVE=name"
    )


def test_what_comes_before_a_station() -> None:
    assert commands.before("validate") == ()
    assert commands.before("promote") == (
        "validate", "build", "deploy-staging", "smoke", "approve", "deploy-production",
    )  # fmt: skip
