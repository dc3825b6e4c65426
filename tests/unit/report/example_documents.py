"""Documents to be rendered: of one part, and with hostile texts in every place."""

from model_release.report import Bar, Document, Interval, Link, Part, StationOutcome, Table

HOSTILE = '<script>alert(1)</script> <img src=x onerror=alert(1)> "quoted" `code` | ![x](y) @team'


def one(part: Part) -> Document:
    return Document("fraud 2", [part], lead="Look.")


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
