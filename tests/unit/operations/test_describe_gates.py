"""The schema and the page about the gates are what the gates say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.config import schema
from model_release.gates import gates

GENERATED = ("models/schema.json", "docs/gates.md")


def _describe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/describe_gates.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that the script reads and writes, in a folder that may be spoilt."""
    for name in (*GENERATED, "models/iris-classifier.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_what_is_committed_is_up_to_date() -> None:
    done = _describe("--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((ROOT / "models/schema.json").read_text(encoding="utf-8")) == schema()


@pytest.mark.parametrize("name", GENERATED)
def test_a_change_by_hand_is_found_and_mended(checkout: Path, name: str) -> None:
    root = ("--root", str(checkout))
    (checkout / name).write_text("{}", encoding="utf-8")
    done = _describe("--check", *root)
    assert done.returncode == 2
    assert f"{name} is out of date" in done.stderr
    assert _describe("--write", *root).returncode == 0
    assert (checkout / name).read_bytes() == (ROOT / name).read_bytes()


def test_a_missing_file_is_found(checkout: Path) -> None:
    (checkout / "docs/gates.md").unlink()
    done = _describe("--check", "--root", str(checkout))
    assert (done.returncode, "found no file" in done.stderr) == (2, True)


def test_the_page_describes_every_gate_and_every_limit_in_order() -> None:
    page = (ROOT / "docs/gates.md").read_text(encoding="utf-8")
    titles = [line for line in page.splitlines() if line.startswith("## ")]
    numbered = [f"## {number}. {name}" for number, name in enumerate(gates(), start=1)]
    assert titles == [*numbered, "## holdout", "## production", "## local"]
    for gate in gates().values():
        for limit in gate.Limits.model_fields.keys() - {"skip"}:
            assert f"| `{limit}` |" in page
