"""A kubectl that says what a test wants, for what no healthy cluster says."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

Says = Callable[..., None]


@pytest.fixture
def kubectl_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Puts a program `kubectl` first on PATH that prints and exits as it is told here."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def says(out: str = "", *, err: str = "", code: int = 0) -> None:
        program = folder / "kubectl"
        lines = [f"printf %s {shlex.quote(out)}", f"printf %s {shlex.quote(err)} >&2"]
        program.write_text("\n".join(["#!/bin/sh", *lines, f"exit {code}\n"]))
        program.chmod(0o755)

    return says
