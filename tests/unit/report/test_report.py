"""Parts of documents: what they say of themselves, before anybody renders them."""

import pytest

from model_release.report import Bar, Interval, Link, Part, Report, Table, printable, shares


def test_a_bar_is_over_its_limit_only_above_it() -> None:
    assert [Bar("p50", value, 100.0).over for value in (99.0, 100.0, 101.0)] == [False, False, True]
    assert not Bar("p50", 1e9).over
    assert Bar("p50", 25.0, 100.0, "ms").figures == "25 ms of 100 ms"
    assert Bar("size", 3.25, None, "MiB").figures == "3.25 MiB"


def test_shares_are_of_the_limit_or_of_the_largest() -> None:
    bars = [Bar("a", 5.0, 10.0), Bar("b", 30.0, 10.0), Bar("c", 2.5)]
    assert [share for _, share in shares(bars)] == [0.5, 1.0, 0.25]
    assert [share for _, share in shares([Bar("a", 0.0), Bar("b", 0.0)])] == [0.0, 0.0]


def test_an_interval_places_values_between_all_that_it_shows() -> None:
    interval = Interval("accuracy", -0.5, 0.25, 1.0, 0.75)
    assert [interval.at(value) for value in (-0.5, 0.25, 1.0)] == [0.0, 0.5, 1.0]
    assert interval.figures == "+0.25 (-0.5 … +1)"
    assert Interval("none", 0.0, 0.0, 0.0, 0.0).at(0.0) == 0.0


@pytest.mark.parametrize(
    "url",
    ["", "javascript:alert(1)", 'https://x/"onclick="a', "https://x/ y", "ftp://x/", "https://x/<"],
)
def test_what_is_no_web_address_is_no_link(url: str) -> None:
    assert Link("x", url).address == ""


def test_a_web_address_is_a_link() -> None:
    for url in ("https://mlflow.example.com/#/runs/(1)", "http://127.0.0.1:5000/x?a=1&b=2"):
        assert Link("x", url).address == url


def test_a_part_is_headed_by_its_title_or_its_tables() -> None:
    table = Table("Gates", ("gate",), [])
    assert (Part(table=table).heading, Part("Own", table=table).heading) == ("Gates", "Own")
    assert Part().heading == ""


def test_a_reports_lines_are_its_last_part_where_it_has_any() -> None:
    table = Table("Gates", ("gate",), [])
    (only,) = Report("iris 2", "passed", [table]).document.parts
    assert only.table == table
    tables, lines = Report("iris 2", "passed", [table], ["a: 1", "  b: 2"]).document.parts
    assert (tables.table, lines.code) == (table, "a: 1\n  b: 2")


def test_control_characters_are_spaces_and_indentation_stays() -> None:
    assert printable("  a\x1b[31m\tb\n") == "  a [31m b"
