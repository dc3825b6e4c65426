"""No package among a model's requirements runs unconfined: not installed, not at a start."""

import hashlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from model_release.processes.environments import install
from model_release.processes.removal import remove
from model_release.processes.requirements import LockError
from tests.hostile.conftest import SECRET, Planted, living
from tests.hostile.hostile_wheels import NAME, RAN, attack, source_distribution, ways, wheel
from tests.waiting import until

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"

PIPELINE = """
import sys
import sysconfig
from pathlib import Path
from model_release.model_process.client import ModelError, ModelProcess
from model_release.processes.environments import install

lock, home = map(Path, sys.argv[1:])
python = install(lock, f"{sys.version_info[0]}.{sys.version_info[1]}", home)
print("installed", flush=True)
with ModelProcess(python, "model 1", home / "tmp") as process:
    try:
        process.send("start")
        process.receive(120)
    except ModelError as error:  # there is no mlflow in this environment
        print(error)
"""
"""A pipeline with a secret in its environment: it installs a lock and starts a model's process."""


def locked(folder: Path, package: Path, builds: str) -> Path:
    """The lock of one package."""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    lock = folder / "lock.txt"
    lock.write_text(f"# source builds {builds}\n{NAME}==1.0 --hash=sha256:{digest}\n")
    return lock


def run_pipeline(lock: Path, home: Path, wheels: Path) -> str:
    """Run it; return what it prints."""
    index = {"UV_FIND_LINKS": str(wheels), "UV_CACHE_DIR": str(wheels / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PIPELINE, str(lock), str(home)],
        env={**os.environ, "MLFLOW_TRACKING_PASSWORD": SECRET, **index},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_modules() -> list[str]:
    """The names of what lies beside the standard library, as Debian's `sitecustomize` does."""
    return [path.stem for path in Path(sysconfig.get_path("stdlib")).glob("*.py")]


@pytest.mark.parametrize("way", ways(""))
def test_a_package_reads_and_reaches_nothing(planted: Planted, tmp_path: Path, way: str) -> None:
    line = attack(planted.loot, planted.files, planted.port, planted.control)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lock = locked(tmp_path, wheel(wheels, ways(line)[way]), "refused")
    told = run_pipeline(lock, tmp_path / "home", wheels)
    assert told.startswith("installed\n")
    assert planted.stolen == {}
    # `-I` starts no user's customization, and a Python that has a customization of its own starts
    # that one; everything else has run, and was confined
    unheard = {"usercustomize"} | ({"sitecustomize"} & {*own_modules()})
    assert (RAN in told) == (way not in unheard)


def test_the_build_of_a_package_reads_and_changes_nothing(planted: Planted, tmp_path: Path) -> None:
    """Where a model's YAML allows it. It has the network: what it needs to build may lie there."""
    line = attack(planted.loot, planted.files, planted.port, planted.control)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lock = locked(tmp_path, source_distribution(wheels, line), "allowed")
    told = run_pipeline(lock, tmp_path / "home", wheels)
    assert told.startswith("installed\n")
    assert list((tmp_path / "home").rglob("built.py"))
    assert set(planted.stolen) <= {"sent"}


@pytest.mark.long
def test_nothing_outlives_a_build_that_takes_too_long(tmp_path: Path) -> None:
    line = "import os, time; os.fork() or os.setsid(); time.sleep(10_000)"
    wheels, home = tmp_path / "wheels", tmp_path / "home"
    wheels.mkdir()
    lock = locked(tmp_path, source_distribution(wheels, line), "allowed")
    with pytest.MonkeyPatch.context() as index:
        index.setenv("UV_FIND_LINKS", str(wheels))
        with pytest.raises(LockError, match="still running after 30 s"):
            install(lock, HERE, home, seconds=30)
    until(lambda: living(home) == [], seconds=60)


def test_a_package_of_folders_without_end_can_be_removed(tmp_path: Path) -> None:
    """An install that was killed left it."""
    wheels, home = tmp_path / "wheels", tmp_path / "home"
    wheels.mkdir()
    lock = locked(tmp_path, wheel(wheels, {f"{'a/' * 1500}deep.py": "1"}), "refused")
    with pytest.MonkeyPatch.context() as index:
        index.setenv("UV_FIND_LINKS", str(wheels))
        index.setenv("UV_CACHE_DIR", str(wheels / "cache"))
        environment = install(lock, HERE, home).parents[1]
        (environment / "installed").unlink()
        try:
            assert install(lock, HERE, home).exists()
        finally:
            for each in (wheels, home):  # pytest would not get through them
                remove(each)
