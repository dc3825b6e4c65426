"""Locks and environments, with the real uv and the real package index."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from model_release.errors import OutsideError
from model_release.gates.environment import Limits
from model_release.processes.environments import install, lock, without_secrets
from model_release.processes.requirements import LockError
from tests.waiting import until

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
LIMITS = Limits(timeout_seconds=120)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "python_env.yaml").write_text(f"python: {HERE}.1\n")
    (folder / "requirements.txt").write_text("six==1.17.0\n")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.in"
    path.write_text("idna  # names of hosts\n")
    return path


def made_when(path: Path) -> tuple[int, int]:
    """Another pair for a file that was written anew."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def test_a_lock_pins_model_and_server_by_hash_and_is_kept(
    model: Path, server: Path, tmp_path: Path
) -> None:
    made = lock(model, server, LIMITS, tmp_path / "home")
    text = made.path.read_text()
    assert (made.packages, made.python) == (2, HERE)
    assert re.findall(r"^(\w+)==", text, re.MULTILINE) == ["idna", "six"]
    assert text.count("--hash=sha256:") >= 2
    assert str(tmp_path) not in text
    (model / "python_env.yaml").write_text(f"python: {HERE}.9\n")
    written = made_when(made.path)
    assert lock(model, server, LIMITS, tmp_path / "home") == made
    assert made_when(made.path) == written
    (model / "requirements.txt").write_text("six==1.16.0\n")
    assert lock(model, server, LIMITS, tmp_path / "home").path != made.path


def test_an_environment_is_made_once_and_found_again(
    model: Path, server: Path, tmp_path: Path
) -> None:
    made = lock(model, server, LIMITS, tmp_path)
    python = install(made.path, HERE, tmp_path)
    seen = subprocess.check_output([python, "-I", "-c", "import six, idna; print(six.__file__)"])
    assert seen.decode().startswith(str(tmp_path / "environments"))
    compiled = list(python.parents[1].rglob("six.*.pyc"))
    assert len(compiled) == 1
    created = made_when(python.parents[1] / "installed")
    assert install(made.path, HERE, tmp_path) == python
    assert made_when(python.parents[1] / "installed") == created


def test_an_environment_cut_off_by_kill_is_made_again(
    model: Path, server: Path, tmp_path: Path
) -> None:
    made = lock(model, server, LIMITS, tmp_path)
    script = (
        "import sys, pathlib; from model_release.processes.environments import install\n"
        "install(pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]))\n"
    )
    command = [sys.executable, "-c", script, str(made.path), HERE, str(tmp_path)]
    killed = subprocess.Popen(command, start_new_session=True)
    begun = (tmp_path / "environments").glob
    until(lambda: killed.poll() is not None or list(begun("*/bin")), seconds=60, every=0.001)
    assert killed.poll() is None
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    (folder,) = (path for path in (tmp_path / "environments").iterdir() if path.is_dir())
    assert not (folder / "installed").exists()
    together = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in together] == [0, 0]
    subprocess.check_call([install(made.path, HERE, tmp_path), "-I", "-c", "import six, idna"])


def test_a_changed_hash_is_refused(model: Path, server: Path, tmp_path: Path) -> None:
    made = lock(model, server, LIMITS, tmp_path)
    forged = tmp_path / "forged.lock"
    forged.write_text(re.sub(r"sha256:\w{64}", f"sha256:{'0' * 64}", made.path.read_text()))
    with pytest.raises(LockError, match=r"the locked packages cannot be installed.*[Hh]ash"):
        install(forged, HERE, tmp_path)
    assert not list((tmp_path / "environments").glob("*/installed"))


@pytest.mark.parametrize(
    ("requirements", "text"),
    [
        ("six==99.99", "cannot be locked; found .*six==99.99"),
        ("idna<3\nsix>=1.17", "cannot be locked; found "),
        ("--index-url https://example.org\nsix", "found '--index-url https://example.org'"),
        ("-e .", "expected packages from the index; found '-e .'"),
        ("./mine", "expected packages from the index"),
        ("mine @ file:///tmp/mine.whl", "expected packages from the index"),
        ("six ===", "cannot be locked"),
        ("docopt==0.6.2", "cannot be locked; found .*docopt"),
    ],
    ids=["no version", "conflict", "index", "editable", "path", "file", "syntax", "source only"],
)
def test_what_cannot_be_locked_is_said(
    model: Path, server: Path, tmp_path: Path, requirements: str, text: str
) -> None:
    server.write_text("idna>=3.10\n")
    (model / "requirements.txt").write_text(f"{requirements}\n")
    with pytest.raises(LockError, match=text) as caught:
        lock(model, server, LIMITS, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "locks").glob("*"))


def test_an_index_that_is_down_is_no_fault_of_the_model(
    model: Path, server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/simple"
        monkeypatch.setenv("UV_DEFAULT_INDEX", index)
        with pytest.raises(OutsideError, match=r"cannot be locked; found .*; next: check that the"):
            lock(model, server, LIMITS, tmp_path)
    assert not list((tmp_path / "locks").glob("*"))


@pytest.mark.parametrize("content", [None, "", "python: new\n", "python: [3]\n", "python: 3.11; x"])
def test_an_unknown_python_is_said(
    model: Path, server: Path, tmp_path: Path, content: str | None
) -> None:
    (model / "python_env.yaml").unlink()
    if content is not None:
        (model / "python_env.yaml").write_text(content)
    with pytest.raises(LockError, match=r"python_env.yaml of the model; expected a line such as"):
        lock(model, server, LIMITS, tmp_path)


def test_no_requirements_are_said(model: Path, server: Path, tmp_path: Path) -> None:
    (model / "requirements.txt").unlink()
    with pytest.raises(LockError, match=r"requirements\.txt of the model; expected a readable"):
        lock(model, server, LIMITS, tmp_path)


def test_an_interpreter_that_is_not_here_is_said(model: Path, server: Path, tmp_path: Path) -> None:
    made = lock(model, server, LIMITS, tmp_path)
    with pytest.raises(LockError, match=r"^Python 3.99, which .* logged with, is not available"):
        install(made.path, "3.99", tmp_path)


def test_only_named_variables_reach_model_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"PATH": "/bin", "HTTPS_PROXY": "p", "TOKEN": "secret"})
    assert without_secrets(tmp_path) == {
        "PATH": "/bin",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
