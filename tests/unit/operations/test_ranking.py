"""Runs side by side: who is best, and what the table says."""

from pathlib import Path

import pytest

from model_release.operations.ranking import Entrant, is_lower_better, plot, ranked, side_by_side

ENTRANTS = (
    Entrant("a" * 32, "small", {"depth": "3", "seed": "0"}, {"accuracy": 0.9, "log_loss": 0.3}),
    Entrant("b" * 32, "large", {"depth": "9", "seed": "0"}, {"accuracy": 0.95, "log_loss": 0.2}),
    Entrant("c" * 32, "broken", {"seed": "0"}, {"accuracy": float("nan")}),
    Entrant("d" * 32, "twin", {"depth": "9", "seed": "0"}, {"accuracy": 0.95}),
)


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        ("accuracy", False),
        ("log_loss", True),
        ("rmse", True),
        ("val-mae", True),
        ("roc_auc", False),
    ],
)
def test_which_direction_is_better(metric: str, lower: bool) -> None:
    assert is_lower_better(metric) == lower


def test_the_best_is_first_and_what_is_missing_last() -> None:
    names = [each.name for each in ranked(ENTRANTS, "accuracy", lower=False)]
    assert names == ["large", "twin", "small", "broken"]
    names = [each.name for each in ranked(ENTRANTS, "log_loss", lower=True)]
    assert names == ["large", "small", "broken", "twin"]


def test_side_by_side() -> None:
    table = side_by_side(ENTRANTS[:2], varying=False)
    assert table.columns == ("what", "small (aaaaaaaa)", "large (bbbbbbbb)")
    assert table.rows == [
        ("param depth", "3", "9"),
        ("param seed", "0", "0"),
        ("metric accuracy", "0.9", "0.95"),
        ("metric log_loss", "0.3", "0.2"),
    ]
    rows = [row[0] for row in side_by_side(ENTRANTS[:2], varying=True).rows]
    assert rows == ["param depth", "metric accuracy", "metric log_loss"]
    assert side_by_side(ENTRANTS[2:], varying=False).rows[0] == ("param depth", "–", "9")


def test_a_plot_a_metric(tmp_path: Path) -> None:
    written = plot(ENTRANTS, ["accuracy", "a/b"], tmp_path)
    assert [path.name for path in written] == ["accuracy.png", "a_b.png"]
    assert written[0].read_bytes().startswith(b"\x89PNG")
