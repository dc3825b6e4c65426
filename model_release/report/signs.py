"""The look of an outcome and of a number, wherever they are shown."""

from dataclasses import dataclass

NONE = "–"
"""What stands where there is no value."""


@dataclass(frozen=True)
class Sign:
    """An outcome's sign.

    Args:
        text: for terminals and HTML: every font has it, a colour font is not everywhere.
        emoji: for GitHub.
        colour: of a terminal, as its ANSI code.
    """

    text: str
    emoji: str
    colour: str


SIGNS = {
    "passed": Sign("✓", "✅", "32"),
    "failed": Sign("✗", "❌", "31"),
    "refused": Sign("✗", "❌", "31"),
    "error": Sign("!", "💥", "31"),
    "skipped": Sign("→", "⏭️", "33"),
    "waiting": Sign("…", "⏸️", "33"),
    "not reached": Sign("·", "·", "2"),
}


def sign_of(outcome: str) -> Sign:
    """The sign of any outcome; of one that has none, that of what was not reached."""
    return SIGNS.get(outcome, SIGNS["not reached"])


def number(value: float | None, digits: int = 4, sign: str = "") -> str:
    """A value to so many significant digits; `sign` "+" shows that of a positive one as well."""
    return NONE if value is None else f"{value:{sign}.{digits}g}"
