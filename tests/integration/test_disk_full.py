"""A disk that runs full: a real file system of a few MiB, in a mount namespace of its own."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.releases import started
from model_release.stations.validate_model import validate_model
from model_release.workspace import Workspace
from tests.bad_models import models
from tests.bad_models.limits import write_limits

NAMESPACE = ("unshare", "--map-root-user", "--mount")
MOUNT = "mount -t tmpfs -o size={size} tmpfs {folder}"


def problem(folder: Path) -> str:
    """Why no small file system can be mounted here; empty where it can."""
    try:
        command = [*NAMESPACE, "sh", "-c", MOUNT.format(size="1m", folder=shlex.quote(str(folder)))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


def validate_on(size: str, workspace: Workspace, name: str, folder: Path) -> tuple[int, str, str]:
    """Run the script with its state on `size` bytes; exit code, errors, and the files it leaves."""
    script = [sys.executable, str(ROOT / "scripts" / "validate_model.py"), "--model-name", name]
    script += ["--home", str(folder), "--models-dir", str(workspace.models_dir)]
    script += ["--tracking-uri", workspace.uri]
    steps = [
        MOUNT.format(size=size, folder=shlex.quote(str(folder))),
        f"code=0; {shlex.join(script)} >/dev/null || code=$?",
        f"find {shlex.quote(str(folder))} -type f",
        "exit $code",
    ]
    done = subprocess.run(
        [*NAMESPACE, "sh", "-e", "-c", "\n".join(steps)],
        env={**os.environ, "TMPDIR": "/tmp"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stderr, done.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "reached"),
    [("1m", "files of"), ("5m", "✓ integrity")],
    ids=["while the model is downloaded", "while its environment is made"],
)
def test_disk_full_is_one_line_and_nothing_half_written_stays(
    size: str, reached: str, workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if why := problem(folder):
        pytest.skip(f"no small file system can be mounted: {why}")
    name = f"full-{size}"
    write_limits(workspace.models_dir, name, {"latency": {"max_size_mib": 10}})
    version = models.LARGE(workspace, name)

    code, said, files = validate_on(size, workspace, name, folder)

    assert code == 3, said
    assert reached in said
    assert "Traceback" not in said
    if size == "1m":
        (line,) = (line for line in said.splitlines() if line.startswith("error: "))
        assert files == ""
    else:
        judged = started(workspace.registry, name, version).json("validate/report.json")
        (row,) = (row for row in judged["gates"] if row["status"] == "error")
        assert (row["gate"], judged["exit_code"]) == ("environment", 3)
        line = f"error: {row['found']}; next: {row['next_step']}"
        assert "site-packages" not in files
    assert line.startswith("error: disk full")
    assert "next: free space and run the same command again" in line
    assert validate_model(workspace, name, version).passed("validate"), "nothing was lost"
