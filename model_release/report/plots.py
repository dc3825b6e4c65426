"""Plots of block characters, one line a value."""

from collections.abc import Iterator, Sequence

from model_release.errors import plain
from model_release.report import Bar, Interval, shares

WIDTH = 24
"""Characters of a bar."""


def bar_lines(bars: Sequence[Bar]) -> Iterator[str]:
    """Each bar as a share of its limit."""
    width = max((len(bar.label) for bar in bars), default=0)
    for bar, share in shares(bars) if bars else ():
        full = round(share * WIDTH)
        drawn = "█" * full + "░" * (WIDTH - full)
        yield f"{plain(bar.label):<{width}} {drawn} {bar.figures}"


def interval_lines(intervals: Sequence[Interval]) -> Iterator[str]:
    """Each interval on a line with zero and what is allowed at most; a legend below."""
    width = max((len(each.label) for each in intervals), default=0)
    for each in intervals:
        yield f"{plain(each.label):<{width}} {_drawn(each)}"
    if intervals:
        yield f"{'':<{width}} │ no difference   ├─●─┤ worse by   ▌ allowed at most"


def _drawn(interval: Interval) -> str:
    line = [" "] * (2 * WIDTH + 1)

    def place(value: float) -> int:
        return round(interval.at(value) * 2 * WIDTH)

    line[place(0.0)] = "│"
    line[place(interval.allowed)] = "▌"
    low, high = place(interval.low), place(interval.high)
    line[low : high + 1] = "─" * (high - low + 1)
    line[low], line[high], line[place(interval.point)] = "├", "┤", "●"
    return "".join(line)
