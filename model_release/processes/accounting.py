"""Memory of a process and of all that it started, as the kernel accounts for it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
KIB = 1024


class TreeMemory:
    """The most resident memory, in bytes, that what a process started was seen to hold.

    The largest process counts with its own peak, which the kernel keeps and only a write to
    `/proc/<pid>/clear_refs` or another program in its place (`exec`) lowers; each of the others
    with what it holds when `sample` is called, of shared pages its share. So one process alone is
    told exactly. Of several, what another than the largest held between two samples is not seen,
    and the largest counts with its peak even where it has shrunk since.

    Args:
        root: whose descendants are looked at; it does not count itself: it is the sandbox's.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._peak = 0

    def sample(self) -> int:
        """Look once; return the peak of all that was seen, 0 where nothing was."""
        peaks = {each: _field(each, "status", "VmHWM") for each in _descendants(self._root)}
        if peaks:
            largest = max(peaks, key=peaks.__getitem__)
            others = sum(_held(process) for process in peaks if process != largest)
            self._peak = max(self._peak, peaks[largest] + others)
        return self._peak


def _descendants(process: int) -> Iterator[int]:
    found = [process]
    while found:  # no recursion: a model may start one process below the other, ten thousand deep
        with suppress(OSError):  # it has ended
            for thread in (PROC / str(found.pop()) / "task").iterdir():
                children = [int(each) for each in (thread / "children").read_text("ascii").split()]
                yield from children
                found += children


def _held(process: int) -> int:
    """What a process holds: its share (Pss) or, where it hides that from its user, all (Rss)."""
    return _field(process, "smaps_rollup", "Pss") or _field(process, "status", "VmRSS")


def _field(process: int, file: str, name: str) -> int:
    with suppress(OSError), (PROC / str(process) / file).open("rb") as lines:
        for line in lines:
            if line.startswith(f"{name}:".encode()):
                return KIB * int(line.split()[1])
    return 0
