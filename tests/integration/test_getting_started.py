"""The walk of a new user: every command of docs/getting-started.md, copied from it and run."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from model_release import ROOT
from tests.ports import free_port

PAGE = ROOT / "docs/getting-started.md"
NEEDS_MORE = ("export MLFLOW_TRACKING_URI", "MODEL=my-model", "mlflow ui")
"""What needs another registry, or serves until it is ended."""


def commands() -> list[str]:
    """Lines of the page's indented code blocks, joined where they go on."""
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"(?m)^ {4}(?! )(.+)$", text)
    return [line for line in found if not any(word in line for word in NEEDS_MORE)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `git clone` would bring, without a .venv: `make` makes it."""
    folder = tmp_path / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.mark.long
def test_every_command_does_what_the_page_says(checkout: Path) -> None:
    kept = ("HOME", "PATH", "LANG", "SSL_CERT_FILE", "UV_CACHE_DIR", "UV_DEFAULT_INDEX")
    kept += ("PIP_INDEX_URL", "UV_INDEX_URL", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "PIP_CERT")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"STAGING_PORT": str(free_port()), "PRODUCTION_PORT": str(free_port())}
    ran = []
    try:
        for command in commands():
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=checkout,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
            refused = "max-depth 1" in (ran[-1] if ran else "") and command.startswith(
                "make release"
            )
            assert (done.returncode != 0) == refused, f"{command}\n{done.stdout}\n{done.stderr}"
            assert not refused or "refused: iris-classifier 3: gate" in done.stderr
            ran.append(command)
    finally:
        subprocess.run(["make", "stop"], cwd=checkout, env=environment, check=False)
    assert len(ran) >= 8
    assert "iris-classifier 2" in (checkout / "page.html").read_text(encoding="utf-8")
