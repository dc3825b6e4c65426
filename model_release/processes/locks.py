"""Locks between processes: `flock` on a file, freed by the kernel however its holder ends."""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from model_release.errors import OutsideError
from model_release.waiting import polls

POLL_SECONDS = 0.05


@contextmanager
def file_lock(path: Path, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`, alone, while the block runs.

    Args:
        path: the lock file; made if it is missing, never removed (removing it would let two in).
        what: what is locked, for the error: "the deploy of iris to production".
        wait_seconds: how long to wait for another holder before giving up.

    Raises:
        OutsideError: somebody else still holds it; says who.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _acquire(descriptor, wait_seconds):
            raise OutsideError(
                f"{what} is busy",
                expected=f"it to be free within {wait_seconds:g} s",
                found=os.pread(descriptor, 500, 0).decode(errors="replace") or "another process",
                next_step="wait for that process, or end it, and start again",
            )
        os.pwrite(descriptor, _holder().encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_held(path: Path, lock: Callable[[int, int], object] = fcntl.flock) -> bool:
    """Whether any process holds the lock file `path` at this moment.

    `lock` is how that is done: `fcntl.flock`, or `fcntl.lockf` for a lock that no fork inherits.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # both are an answer that POSIX allows
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire(descriptor: int, wait_seconds: float) -> bool:
    for _ in polls(wait_seconds, every=POLL_SECONDS):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)  # a holder that was killed left its name
            return True
    return False


def _holder() -> str:
    program = Path(sys.argv[0]).name or "python"
    return f"process {os.getpid()} ({program}, since {datetime.now():%H:%M:%S})"
