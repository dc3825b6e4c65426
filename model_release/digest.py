"""The model digest, which names a model by the content of its files."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from model_release.errors import RefusedError

INJECTED = "registered_model_meta"
"""Written by MLflow on download through `models:/`; it names the version, not the model."""


def model_digest(folder: Path) -> str:
    """Name the model in `folder` by its files: "sha256:" and 64 hexadecimal digits.

    SHA-256 over the files in the order of their relative POSIX paths (as bytes). Each file adds
    the length of its path (8 bytes, big-endian), the path, and the SHA-256 of its content (32
    bytes), so that two different folders never feed the same bytes. Empty folders, times and modes
    do not count.

    Raises:
        RefusedError: the folder has no files, or holds a symbolic link or a special file.
    """
    total = hashlib.sha256()
    files = sorted(
        (os.fsencode(path.relative_to(folder).as_posix()), path) for path in model_files(folder)
    )
    if not files:
        raise RefusedError(
            f"model folder {folder.name}",
            expected="at least one file",
            found="none",
            next_step="log the model again (mlflow.<flavor>.log_model) and register it",
        )
    for name, path in files:
        total.update(len(name).to_bytes(8, "big") + name + bytes.fromhex(file_sha256(path)))
    return f"sha256:{total.hexdigest()}"


def model_files(folder: Path) -> Iterator[Path]:
    """Every regular file under `folder` that counts as the model's, in no particular order.

    Raises:
        RefusedError: something in the folder is neither a folder nor a regular file.
    """
    for root, folders, names in os.walk(folder, onerror=_unreadable):
        for name in (*folders, *names):
            path = Path(root, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise RefusedError(
                    f"{path.relative_to(folder)} in the model",
                    expected="a regular file or a folder",
                    found="a symbolic link" if stat.S_ISLNK(mode) else "a special file",
                    next_step="log the model again with the file itself in place of the link",
                )
            if stat.S_ISREG(mode) and path != folder / INJECTED:
                yield path


def file_sha256(path: Path) -> str:
    """SHA-256 of one file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(error: OSError) -> NoReturn:
    raise RefusedError(
        f"a folder of the model cannot be read: {error}",
        next_step="give this user the right to read it (chmod u+rx)",
    )
