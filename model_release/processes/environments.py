"""Locks a model's requirements by hash, and keeps the environments made from such locks (uv)."""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from model_release import commands
from model_release.digest import file_sha256
from model_release.errors import OutsideError, ReleaseError, disk_full
from model_release.gates.environment import Limits
from model_release.processes import logged_with, sandbox
from model_release.processes.confinement import Policy
from model_release.processes.locks import file_lock
from model_release.processes.package_index import (
    anonymous,
    folders,
    index_options,
    quotable,
    uv_environment,
)
from model_release.processes.removal import remove
from model_release.processes.requirements import CONSTRAINTS, REQUIREMENTS, LockError, Requirements

KEPT = {"PATH", "LANG", "LC_ALL", "TZ"}
"""What a process that runs model code may know of the pipeline's environment."""

INSTALL_SECONDS = 1800.0

OUTSIDE = re.compile("error sending request|HTTP status server error", re.IGNORECASE)
"""What uv says when the index is down, for which the model cannot be blamed."""


@dataclass(frozen=True)
class Lock:
    """A requirements file with every package pinned by version and hash.

    `python` is the interpreter's minor version ("3.11"), `packages` their number; `skinny` says
    that mlflow-skinny stands in it for mlflow.
    """

    path: Path
    sha256: str
    packages: int
    python: str
    skinny: bool = False


def without_secrets(home: Path) -> dict[str, str]:
    """The whole environment of a process that runs model code; HOME and TMPDIR lie in `home`."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT}
    return kept | {
        "HOME": str(home),
        "TMPDIR": str(home),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_WAIT_POLICY": "PASSIVE",  # champion and challenger share the CPUs
    }


def lock(
    model_dir: Path,
    serving_requirements: Path,
    limits: Limits,
    home: Path,
    *,
    skinny: bool = False,
) -> Lock:
    """Pin what the model and the server need, by hash, for the model's Python on this platform.

    The same requirements give the same lock: it is kept under `home/locks` and not resolved again.
    With `skinny`, mlflow-skinny takes the place of mlflow where the requirements allow it: whether
    the model works with it is for the caller to find out.

    Raises:
        LockError: the requirements cannot be read, are refused or cannot be resolved.
        OutsideError: uv could not be run, the index is down or the disk is full.
    """
    python = logged_with.python_minor(model_dir)
    builds = "allowed" if limits.allow_source_builds else "refused"
    header = f"# Python {python} on {sys.platform}-{platform.machine()}; source builds {builds}\n"
    required = logged_with.requirements(model_dir, limits.allow_hosts)
    slimmed = required.with_skinny() if skinny else required
    if slimmed != required:
        header = f"{header.rstrip()}; mlflow-skinny for mlflow\n"
    inputs = [header, *slimmed.texts, serving_requirements.read_text("utf-8")]
    name = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    path = home / "locks" / f"{name[:32]}.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.stem}-{os.getpid()}.tmp")
        resolved = _compile(slimmed, serving_requirements, limits, python, home / "tmp")
        unfinished.write_text(header + slimmed.finish(resolved), "utf-8")
        unfinished.replace(path)
    text = path.read_text("utf-8")
    packages = len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE))
    return Lock(path, file_sha256(path), packages, python, slimmed != required)


def _compile(
    required: Requirements, serving_requirements: Path, limits: Limits, python: str, place: Path
) -> str:
    """Resolve what comes from the index, in a folder where nothing else is to be found."""
    options = [] if limits.allow_source_builds else ["--no-build"]
    command = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes"]
    command += ["--python-version", python, *options, "--output-file", "lock"]
    command += ["-", str(serving_requirements.resolve())]
    given = required.to_resolve
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as made:
        folder = Path(made)
        (folder / CONSTRAINTS).write_text(given[CONSTRAINTS], "utf-8")
        _uv(
            command,
            cwd=folder,
            given=given[REQUIREMENTS],
            seconds=limits.timeout_seconds,
            what="the model's requirements cannot be locked",
            next_step=required.advice,
            builds=limits.allow_source_builds,
            reads=[serving_requirements],
        )
        return (folder / "lock").read_text("utf-8")


def install(lock_path: Path, python: str, home: Path, seconds: float = INSTALL_SECONDS) -> Path:
    """Make the environment of a lock, once, and return its interpreter.

    Args:
        lock_path: what `lock` wrote, or a copy of it.
        python: the minor version, such as "3.11".
        home: the state folder; the environment is kept under `home/environments`.
        seconds: how long it may take.

    Raises:
        LockError: no such interpreter, or a package that cannot be installed.
        OutsideError: uv could not be run, the index is down or the disk is full.
    """
    name = f"{file_sha256(lock_path)[:16]}-{python}"
    folder = home / "environments" / name
    marker = folder / "installed"
    interpreter = folder / "bin" / "python"
    if marker.exists():
        return interpreter
    folder.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(folder.with_name(f"{name}.lock"), f"environment {name}", wait_seconds=seconds):
        if not marker.exists():
            remove(folder)
            try:
                _install(lock_path, python, folder, seconds)
            except ReleaseError:
                remove(folder)
                raise
            marker.touch()
    return interpreter


def _install(lock_path: Path, python: str, folder: Path, seconds: float) -> None:
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    interpreter = sys.executable if python == own else python
    _uv(
        ["venv", "--quiet", "--no-python-downloads", "--python", interpreter, str(folder)],
        cwd=lock_path.parent,
        seconds=seconds,
        what=f"Python {python}, which the model was logged with, is not available",
        next_step=f"install Python {python} on this machine or train the model with Python {own}",
    )
    base = (folder / "bin" / "python").resolve()  # before a package can put another there
    locked = lock_path.read_text("utf-8")
    builds = builds_allowed(locked)
    options = [] if builds else ["--no-build"]
    options += ["--require-hashes", "--python", str(folder / "bin/python")]
    _uv(
        ["pip", "sync", "--quiet", *options, "-"],
        cwd=folder,
        given=locked,
        seconds=seconds,
        what="the locked packages cannot be installed",
        next_step="check that the index answers and the disk has space, then run the same command "
        "again",
        builds=builds,
    )
    if (folder / "bin" / "python").resolve() != base:
        raise LockError(
            "the environment's interpreter was replaced by a package",
            next_step="find out which package builds such a file, and log the model without it",
        )
    _compile_bytecode(folder, base, seconds)


def builds_allowed(lock: str) -> bool:
    """Whether the text of a lock says that its packages may be built from source."""
    return "source builds allowed" in lock.partition("\n")[0]


def _compile_bytecode(folder: Path, python: Path, seconds: float) -> None:
    """Compile the packages by `python`, which the environment was made of.

    The environment's own interpreter would run what a package left for its start (`.pth` files).
    A module that does not compile is told by whoever imports it.

    Raises:
        LockError: it takes longer than `seconds`.
    """
    policy = Policy(
        own=str(folder),
        reads=[str(python.parents[1])],
        writes=["/dev/shm"],  # noqa: S108 - the compilers' queue; they run nothing of the model
    )
    program = [str(python), "-I", "-S", "-m", "compileall", "-q", "-j", "0", str(folder / "lib")]
    try:
        sandbox.run_confined(policy, program, env=without_secrets(folder), seconds=seconds)
    except subprocess.TimeoutExpired as error:
        raise LockError(
            "the locked packages cannot be compiled",
            found=f"still compiling after {seconds:g} s",
            next_step="raise gates.environment.timeout_seconds in the model's YAML",
        ) from error


def _uv(
    command: Sequence[str],
    *,
    cwd: Path,
    seconds: float,
    what: str,
    next_step: str,
    given: str = "",
    builds: bool = False,
    reads: Sequence[Path] = (),
) -> None:
    """Run uv in the environment that it may see, on `given`; its complaint becomes `found`."""
    line = [find_uv_bin(), "--no-config", *command]
    environment, index = uv_environment(os.environ, KEPT), index_options(os.environ)
    try:
        if builds:
            done = _run_building(line, cwd, environment, index + given, seconds, reads)
        else:
            done = subprocess.run(
                line,
                cwd=cwd,
                env=environment,
                input=index + given,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        found = f"still running after {seconds:g} s"
        raise LockError(what, found=found, next_step=next_step) from error
    except OSError as error:
        raise OutsideError(
            f"uv cannot be run: {error}", next_step=f"run `{commands.make('venv')}`"
        ) from error
    if done.returncode != 0:
        found = quotable(done.stderr)[-600:]
        if OUTSIDE.search(found):
            raise OutsideError(what, found=found, next_step="check that the package index answers")
        raise disk_full(found) or LockError(what, found=found, next_step=next_step)


def _run_building(
    line: Sequence[str],
    own: Path,
    environment: Mapping[str, str],
    given: str,
    seconds: float,
    reads: Sequence[Path],
) -> "subprocess.CompletedProcess[str]":
    """Run uv where it may build packages, whose code runs then.

    All of it is confined to the folder `own` and the network, with a cache of its own, and knows
    no password of an index or a proxy.
    """
    known = {name: anonymous(value) for name, value in environment.items()}
    known |= {"HOME": str(own), "TMPDIR": str(own), "UV_CACHE_DIR": str(own / "cache")}
    python = sandbox.interpreter_reads(Path(sys.executable))
    certificates = known.get("SSL_CERT_FILE", ""), known.get("SSL_CERT_DIR", "")
    files = [line[0], *python, *folders(os.environ), *certificates, *map(str, reads)]
    try:
        return sandbox.run_confined(
            Policy(str(own), files, network=True),
            line,
            env=known,
            seconds=seconds,
            given=anonymous(given),
        )
    finally:
        remove(own / "cache")
