"""The progress of a command on standard error: stations, and what each of them finds."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from model_release.errors import plain
from model_release.report.signs import sign_of

Tell = Callable[[str], None]
"""Takes one line about what happens now, such as `Progress.step`."""


@dataclass
class Progress:
    """Lines on standard error; colours only on a terminal. `quiet` drops them all."""

    quiet: bool = False

    def station(self, name: str, subject: str) -> None:
        """A station of the road begins."""
        self._print(f"{self._paint('1', f'▶ {name}')}  {plain(subject)}")

    def step(self, text: str) -> None:
        """Something within a station."""
        self._print(f"    {plain(text)}")

    def asking(self, name: str) -> None:
        """A gate is being asked: shown on a terminal until its outcome takes the line."""
        if sys.stderr.isatty() and not self.quiet:
            sys.stderr.write(self._paint("2", f"  … {name}"))
            sys.stderr.flush()

    def outcome(self, status: str, name: str, text: str, seconds: float | None = None) -> None:
        """A gate or check has spoken."""
        sign = sign_of(status)
        painted = self._paint(sign.colour, sign.text)
        time_taken = "" if seconds is None else self._paint("2", f"  {seconds:.1f} s")
        self._print(f"  {painted} {name:<18} {plain(text)}{time_taken}")

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if sys.stderr.isatty() else text

    def _print(self, line: str) -> None:
        if not self.quiet:
            over = "\r\033[K" if sys.stderr.isatty() else ""
            sys.stderr.write(f"{over}{line}\n")
            sys.stderr.flush()
