"""Plots of block characters, to the character."""

from model_release.report import Bar, Interval
from model_release.report.plots import bar_lines, interval_lines

LEGEND = " │ no difference   ├─●─┤ worse by   ▌ allowed at most"


def test_bars_are_shares_of_their_limits_and_never_longer() -> None:
    bars = [Bar("p50", 25.0, 100.0, "ms"), Bar("slowest", 250.0, 100.0, "ms"), Bar("p", 0.0, 1.0)]
    assert [line.rstrip() for line in bar_lines(bars)] == [
        f"p50     {'█' * 6}{'░' * 18} 25 ms of 100 ms",
        f"slowest {'█' * 24} 250 ms of 100 ms",
        f"p       {'░' * 24} 0  of 1",
    ]


def test_bars_without_limits_are_shares_of_the_longest() -> None:
    assert [line[2:26].count("█") for line in bar_lines([Bar("a", 3.0), Bar("b", 12.0)])] == [6, 24]


def test_an_interval_that_holds_zero_at_its_point() -> None:
    line, legend = interval_lines([Interval("accuracy", -0.5, 0.0, 0.5, 1.0)])
    assert line == f"accuracy ├{'─' * 15}●{'─' * 15}┤{' ' * 15}▌"
    assert legend == f"        {LEGEND}"


def test_an_interval_beyond_what_is_allowed() -> None:
    line, _ = interval_lines([Interval("f1", 0.5, 0.75, 1.0, 0.25)])
    assert line == f"f1 │{' ' * 11}▌{' ' * 11}├{'─' * 11}●{'─' * 11}┤"


def test_nothing_is_drawn_of_nothing() -> None:
    assert [*bar_lines([]), *interval_lines([])] == []


def test_a_label_is_one_line_without_control_characters() -> None:
    (bar,) = bar_lines([Bar("a\x1b[31m\nb", 1.0)])
    assert bar.startswith("a")
    assert bar.isprintable()
