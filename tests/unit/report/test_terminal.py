"""A document on a terminal: every kind of part, whatever its texts hold."""

from model_release.report import Bar, Document, Interval, Link, Part, StationOutcome, Table
from model_release.report.terminal import terminal


def test_every_kind_of_part() -> None:
    parts = [
        Part(table=Table("Gates", ("gate", "outcome"), [("champion", "failed")])),
        Part(
            "Part",
            lines=["A line."],
            road=[StationOutcome("validate", "passed"), StationOutcome("build", "waiting")],
            intervals=[Interval("accuracy", -0.5, 0.0, 0.5, 1.0)],
            bars=[Bar("p50", 25.0, 100.0, "ms")],
            code="+   added",
            links=[Link("run", "https://mlflow.example.com/#/runs/1")],
        ),
    ]
    shown = terminal(Document("fraud 2", parts, lead="Look."), 60, colour=False)
    assert [line.rstrip() for line in shown.splitlines()] == [
        "fraud 2",
        "Look.",
        "",
        "Gates",
        "gate     ┃ outcome",
        "━━━━━━━━━╇━━━━━━━━",
        "champion │ failed",
        "",
        "Part",
        "A line.",
        "✓ validate",
        "… build",
        f"accuracy ├{'─' * 15}●{'─' * 15}┤{' ' * 15}▌",
        "         │ no difference   ├─●─┤ worse by   ▌ allowed at most",
        "p50 ██████░░░░░░░░░░░░░░░░░░ 25 ms of 100 ms",
        "+   added",
        "run https://mlflow.example.com/#/runs/1",
    ]


def test_no_escape_of_a_model_reaches_the_terminal() -> None:
    hostile = "\x1b[31mred\x1b[0m"
    table = Table(hostile, (hostile,), [(hostile,)])
    document = Document(hostile, [Part(table=table), Part(hostile, [hostile])], lead=hostile)
    assert "\x1b" not in terminal(document, 60, colour=False)
