"""A report in each format: the same result as table, JSON and Markdown."""

import json

from model_release.report import Report, Table
from model_release.report.render import render

REPORT = Report(
    title="iris 2",
    outcome="refused",
    tables=[Table("Gates", ("gate", "outcome"), [("integrity", "passed"), ("champion", "failed")])],
    lines=["curl -d '{\"a\": 1}' http://127.0.0.1:1/x"],
    data={"model": "iris"},
)


def test_table() -> None:
    lines = [line.rstrip() for line in render(REPORT, "table", width=60).splitlines()]
    assert lines == [
        "iris 2: refused",
        "",
        "Gates",
        "gate      ┃ outcome",
        "━━━━━━━━━━╇━━━━━━━━",
        "integrity │ passed",
        "champion  │ failed",
        "",
        "curl -d '{\"a\": 1}' http://127.0.0.1:1/x",
    ]


def test_lines_keep_their_indentation() -> None:
    report = Report("x", "passed", lines=["a:", "    b: 1"])
    for style in ("table", "markdown"):
        assert "a:\n    b: 1\n" in render(report, style)


def test_lines_are_never_folded() -> None:
    report = Report("x", "passed", lines=["word " * 100])
    assert ("word " * 100).strip() in render(report, "table", width=40)


def test_json() -> None:
    assert json.loads(render(REPORT, "json")) == {"outcome": "refused", "model": "iris"}


def test_markdown() -> None:
    assert render(REPORT, "markdown").splitlines() == [
        "## ❌ iris 2: refused",
        "",
        "### Gates",
        "",
        "| gate | outcome |",
        "| --- | --- |",
        "| integrity | ✅ passed |",
        "| champion | ❌ failed |",
        "",
        "```",
        "curl -d '{\"a\": 1}' http://127.0.0.1:1/x",
        "```",
    ]


def test_markdown_cells_cannot_break_out() -> None:
    hostile = "a | b\n<img src=x> ![x](y) @team `code` \\| "
    text = render(Report("x", "passed", [Table("t", ("c",), [(hostile,)])]), "markdown")
    assert text.splitlines()[6] == (
        "| a \\| b &lt;img src=x> !\\[x\\](y) @\u200bteam \\`code\\` \\\\\\| |"
    )


def test_code_fence_cannot_be_closed_by_a_line() -> None:
    text = render(Report("x", "passed", lines=["``` \n# heading"]), "markdown")
    assert text.count("```") == 2
    assert "\n# heading" not in text
