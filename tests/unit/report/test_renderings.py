"""Documents as Markdown and HTML: whole parts compared, and nothing hostile gets out."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from model_release.page.content import page
from model_release.report import Bar, Document, Interval, Link, Part, StationOutcome, Table
from model_release.report.html import html
from model_release.report.markdown import markdown
from tests.unit.page.example_releases import facts

HOSTILE = '<script>alert(1)</script> <img src=x onerror=alert(1)> "quoted" `code` | ![x](y) @team'


def one(part: Part) -> Document:
    return Document("fraud 2", [part], lead="Look.")


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


class Seen(HTMLParser):
    """Tags and attributes of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_html_of_every_kind_of_text() -> None:
    part = Part(
        "A part",
        lines=["A <line>."],
        road=[StationOutcome("deploy-production", "not reached")],
        table=Table("", ("gate", "outcome"), [("a & b", "error"), ("golden", "skipped")]),
        code="  a\n+ b",
        language="diff",
        links=[Link("run", "https://mlflow.example.com/#/runs/(1)"), Link("no", "javascript:x")],
    )
    body = html(one(part)).partition("<main>\n")[2].partition("</main>")[0]
    assert body.splitlines() == [
        "<h1>fraud 2</h1>",
        '<p class="lead">Look.</p>',
        '<section id="a-part">',
        "<h2>A part</h2>",
        "<p>A &lt;line&gt;.</p>",
        '<ol class="road">',
        '<li class="not-reached"><span>·</span> deploy-production<small>not reached</small></li>',
        "</ol>",
        "<table><thead><tr>",
        "<th>gate</th>",
        "<th>outcome</th>",
        "</tr></thead><tbody>",
        "<tr>",
        "<td>a &amp; b</td>",
        '<td class="error">! error</td>',
        "</tr>",
        "<tr>",
        "<td>golden</td>",
        '<td class="skipped">→ skipped</td>',
        "</tr>",
        "</tbody></table>",
        "<pre>",
        "  a",
        '<span class="added">+ b</span>',
        "</pre>",
        "<ul>",
        '<li><a href="https://mlflow.example.com/#/runs/(1)" rel="noreferrer">run</a></li>',
        "<li>no</li>",
        "</ul>",
        "</section>",
    ]


def test_long_code_is_folded_where_it_may_be() -> None:
    part = Part(code="\n".join("x" * 13))
    assert "<details>" not in markdown(one(part))
    folded = markdown(one(replace(part, folded=True)))
    assert folded.splitlines()[4:7] == ["<details><summary>13 lines</summary>", "", "```"]


def hostile() -> Document:
    table = Table(HOSTILE, (HOSTILE,), [(HOSTILE,)])
    return Document(
        HOSTILE,
        lead=HOSTILE,
        parts=[
            Part(
                HOSTILE,
                lines=[HOSTILE],
                road=[StationOutcome(HOSTILE, "passed")],
                table=table,
                bars=[Bar(HOSTILE, 1.0, 2.0, HOSTILE)],
                intervals=[Interval(HOSTILE, 0.0, 0.1, 0.2, 0.3)],
                code=f"```\n# heading\n{HOSTILE}\x1b[31m",
                links=[Link(HOSTILE, 'https://x/"onclick="alert(1)'), Link("x", "javascript:a()")],
            )
        ],
    )


def test_html_holds_no_script_no_handler_and_nothing_from_elsewhere() -> None:
    for text in (html(hostile()), html(page(facts()))):
        seen = Seen(text)
        assert not seen.tags & {"script", "img", "iframe", "link", "object", "base"}
        assert not [name for name in seen.attributes if name.startswith("on") or name == "src"]
        assert "default-src 'none'" in text
        assert "\x1b" not in text
        assert not re.search(r'href="(?!https?://)', text)


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


@pytest.mark.parametrize("text", ["fraud 2", "Gates", "ghcr.io/octo-org/fraud", "-image: fraud:1"])
def test_both_say_the_same(text: str) -> None:
    assert text in html(page(facts()))
    assert text in markdown(page(facts()))
