"""docs/serving.md says of settings, differences and metrics what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from serving.context import ServedRelease
from serving.metrics import Metrics
from serving.settings import Settings
from tests.integration.serving.differences import DIFFERENCES

PAGE = (Path(__file__).parents[3] / "docs" / "serving.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, its own first two lines left out."""
    below = PAGE.split(f"## {heading}\n", 1)[1]
    rows = re.search(r"^\|.*?(?=\n\n)", below, re.MULTILINE | re.DOTALL)
    assert rows
    return [line.strip("| ").split(" | ") for line in rows[0].splitlines()[2:]]


def test_settings() -> None:
    wanted = [
        [f"`{each.metadata['variable']}`", f"{each.default:g}", each.metadata["what"]]
        for each in fields(Settings)
    ]
    assert [[name, f"{float(default):g}", what] for name, default, what in table("Settings")] == [
        *wanted
    ]


def test_differences() -> None:
    for difference in DIFFERENCES:
        assert f"| {difference.what} | {difference.reason} |" in PAGE


def test_metrics() -> None:
    text = Metrics(ServedRelease("m", "1", "d", "r", batching=True)).text().decode()
    families = set(re.findall(r"^# TYPE (serving_\w+) ", text, re.MULTILINE))
    named = set(re.findall(r"`(serving_\w+)", "".join(cells[0] for cells in table("Metrics"))))
    assert named == {name for name in families if not name.endswith("_created")}
