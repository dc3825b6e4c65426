"""The errors that this software raises on purpose: what, expected, found, next step."""

import re

DISK_FULL = re.compile("No space left on device|disk is full|quota exceeded", re.IGNORECASE)
"""How the system, SQLite, MLflow and uv say it, in texts of their own."""


def plain(text: str) -> str:
    """One printable line: a text of a model or a registry may hold anything, escapes included."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


class ReleaseError(Exception):
    """A failure that a person can act on; `str()` of it is one line.

    Args:
        what: the thing that is wrong, named.
        expected: what it should have been.
        found: what it was.
        next_step: what the reader can do now.
    """

    exit_code = 3

    def __init__(self, what: str, *, next_step: str, expected: str = "", found: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.found = found
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.what]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.found:
            parts.append(f"found {self.found}")
        if self.next_step:
            parts.append(f"next: {self.next_step}")
        return plain("; ".join(parts))


class RefusedError(ReleaseError):
    """A gate or a check said no (exit code 1)."""

    exit_code = 1


class UsageError(ReleaseError):
    """The request is invalid: wrong name, wrong file, wrong order (exit code 2)."""

    exit_code = 2


class OutsideError(ReleaseError):
    """Something outside this software failed: registry, network, disk (exit code 3)."""

    exit_code = 3


class DiskFullError(OutsideError):
    """A disk is full: `found` is what said so. The one cause that hides in others' errors."""

    def __init__(self, found: str) -> None:
        super().__init__(
            "disk full", found=found, next_step="free space and run the same command again"
        )


def disk_full(text: object) -> DiskFullError | None:
    """The error to raise when a text, such as another error's, says that a disk is full."""
    said = [line for line in str(text).splitlines() if DISK_FULL.search(line)]
    return DiskFullError(said[0].strip()[-300:]) if said else None
