"""What a model says that it was logged with: its Python, and what it requires."""

import re
from collections.abc import Collection
from pathlib import Path

import yaml

from model_release.processes.requirements import (
    CONDA,
    CONSTRAINTS,
    REQUIREMENTS,
    LockError,
    Requirements,
    understand,
)

MOST_BYTES = {".txt": 1 << 20, ".yaml": 1 << 16}
"""What a file of requirements may have: it is read into memory, and YAML is slow to read."""


def python_version(model_dir: Path) -> str:
    """The Python version that the model was logged with, such as "3.11.7".

    Raises:
        LockError: the model's files do not say it.
    """
    try:
        # The plainest loader: "3.10" is no number, and nothing explodes that is written in it.
        text = yaml.load(_text(model_dir / "python_env.yaml"), Loader=yaml.BaseLoader)  # noqa: S506
    except (LockError, yaml.YAMLError, RecursionError):
        text = None
    said = text.get("python", "") if isinstance(text, dict) else ""
    version = said if isinstance(said, str) else ""
    if not re.fullmatch(r"3\.\d+(\.\d+\w*)?", version, re.ASCII):
        raise LockError(
            "python_env.yaml of the model",
            expected="a line such as `python: 3.11.7`",
            found=repr(version[:80]) if version else "no readable version",
            next_step="log the model again with mlflow",
        )
    return version


def python_minor(model_dir: Path) -> str:
    """The minor version of that Python, such as "3.11"; raises as `python_version` does."""
    return ".".join(python_version(model_dir).split(".")[:2])


def requirements(model_dir: Path, hosts: Collection[str]) -> Requirements:
    """What the model requires, of the index and of `hosts`.

    Raises:
        LockError: it cannot be read, or a line is refused.
    """
    there = [name for name in (CONSTRAINTS, CONDA) if (model_dir / name).exists()]
    files = {name: _text(model_dir / name) for name in (REQUIREMENTS, *there)}
    return understand(files, hosts)


def _text(path: Path) -> str:
    """A small file of the model."""
    most = MOST_BYTES[path.suffix]
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        text, found = content.decode("utf-8"), "more" if len(content) > most else ""
    except (OSError, UnicodeDecodeError) as error:
        text, found = "", type(error).__name__
    if found:
        raise LockError(
            f"{path.name} of the model",
            expected=f"a readable file of at most {most} bytes",
            found=found,
            next_step="log the model again with mlflow",
        )
    return text
