"""Tags of a release are spelled in one place."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.releases import names

OWN = ROOT / "model_release" / "releases"
TAG = re.compile(r"(release|station|approval|champion|rolled_back)\.")
NO_TAGS = {
    "release.json": "a file of the build context",
    "release.html": "the page",
    "release.md": "the page",
    "release.created": "a tag of every run, of ledgers as well: `registry/runs.py` owns it",
}


def spelled(tree: ast.AST) -> Iterator[str]:
    """String literals, those inside of f-strings as well, that begin as a tag of a release."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if TAG.match(text) and text not in NO_TAGS:
                yield f"{node.lineno}: {text}"


@pytest.mark.parametrize("folder", ["model_release", "scripts", "benchmarks"])
def test_no_other_module_spells_a_tag(folder: str) -> None:
    found = {
        str(path.relative_to(ROOT)): list(spelled(ast.parse(path.read_text(encoding="utf-8"))))
        for path in sorted(Path(ROOT, folder).rglob("*.py"))
        if not path.is_relative_to(OWN)
    }
    assert len(found) > 5
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_what_is_looked_for_is_found() -> None:
    text = "release.tags['release.image'], f'station.{name}', 'release.json', f'{name}.release.x'"
    assert list(spelled(ast.parse(text))) == ["1: release.image", "1: station."]


def test_every_tag_has_a_name_of_its_own() -> None:
    values = [value for key, value in vars(names).items() if key.isupper()]
    assert len(set(values)) == len(values) > 20
    assert (names.result("smoke"), names.ended("smoke")) == ("station.smoke", "station.smoke.at")
