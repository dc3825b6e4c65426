"""Documents as Markdown: whole parts compared, and nothing hostile gets out."""

import re
from dataclasses import replace

from model_release.report import Bar, Interval, Link, Part, StationOutcome, Table
from model_release.report.markdown import markdown
from tests.unit.report.example_documents import hostile, one


def test_markdown_of_every_kind_of_part() -> None:
    part = Part(
        "Part",
        lines=["A line."],
        road=[StationOutcome("validate", "passed"), StationOutcome("build", "waiting")],
        table=Table("", ("gate", "outcome"), [("champion", "failed")]),
        bars=[Bar("p50", 25.0, 100.0, "ms"), Bar("p99", 200.0, 100.0, "ms")],
        code="+ added",
        language="diff",
        links=[Link("run", "https://mlflow.example.com/#/runs/1"), Link("no", "javascript:x")],
    )
    assert markdown(one(part)).splitlines() == [
        "# fraud 2",
        "",
        "**Look.**",
        "",
        "## Part",
        "",
        "A line.",
        "",
        "```mermaid",
        "flowchart LR",
        '  s0["✅ validate"]',
        '  s1["⏸️ build"]',
        "  s0 --> s1",
        "```",
        "",
        "| gate | outcome |",
        "| --- | --- |",
        "| champion | ❌ failed |",
        "",
        "```text",
        "p50 ██████░░░░░░░░░░░░░░░░░░ 25 ms of 100 ms",
        "p99 ████████████████████████ 200 ms of 100 ms",
        "```",
        "",
        "```diff",
        "+ added",
        "```",
        "",
        "- [run](https://mlflow.example.com/#/runs/1)",
        "- no",
    ]


def test_an_interval_as_characters() -> None:
    (line,) = (
        line
        for line in markdown(
            one(Part("x", intervals=[Interval("accuracy", -0.5, 0.0, 0.5, 1.0)]))
        ).splitlines()
        if line.startswith("accuracy")
    )
    assert line == f"accuracy ├{'─' * 15}●{'─' * 15}┤{' ' * 15}▌"


def test_long_code_is_folded_where_it_may_be() -> None:
    part = Part(code="\n".join("x" * 13))
    assert "<details>" not in markdown(one(part))
    folded = markdown(one(replace(part, folded=True)))
    assert folded.splitlines()[4:7] == ["<details><summary>13 lines</summary>", "", "```"]


def test_markdown_holds_no_html_but_its_own_and_no_fence_is_closed() -> None:
    lines = markdown(hostile()).splitlines()
    outside, fence = [], ""
    for line in lines:
        mark = re.match(r"`{3,}", line)
        if not fence and mark:
            fence = mark[0]
        elif fence and line == fence:
            fence = ""
        elif not fence:
            outside.append(line)
    assert not fence
    text = "\n".join(outside)
    assert "<script" not in text
    assert "<img" not in text
    assert not re.search(r"(?<!\\)!\[|javascript:|# heading", text)
