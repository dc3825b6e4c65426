"""Documents as HTML: whole parts compared, and nothing hostile gets out."""

import re
from html.parser import HTMLParser

import pytest

from model_release.page.content import page
from model_release.report import Link, Part, StationOutcome, Table
from model_release.report.html import html
from model_release.report.markdown import markdown
from tests.unit.page.example_releases import facts
from tests.unit.report.example_documents import hostile, one


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


def test_html_holds_no_script_no_handler_and_nothing_from_elsewhere() -> None:
    for text in (html(hostile()), html(page(facts()))):
        seen = Seen(text)
        assert not seen.tags & {"script", "img", "iframe", "link", "object", "base"}
        assert not [name for name in seen.attributes if name.startswith("on") or name == "src"]
        assert "default-src 'none'" in text
        assert "\x1b" not in text
        assert not re.search(r'href="(?!https?://)', text)


@pytest.mark.parametrize("text", ["fraud 2", "Gates", "ghcr.io/octo-org/fraud", "-image: fraud:1"])
def test_both_say_the_same(text: str) -> None:
    assert text in html(page(facts()))
    assert text in markdown(page(facts()))
