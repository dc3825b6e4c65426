"""Progress: plain lines in a log; on a terminal, what is under way until its outcome is there."""

import io
import sys

import pytest

from model_release.report.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(progress: Progress) -> None:
    progress.station("validate", "iris 1")
    progress.asking("integrity")
    progress.outcome("passed", "integrity", "7 files", 0.04)


def test_a_log_has_one_line_for_each_thing(capsys: pytest.CaptureFixture[str]) -> None:
    told(Progress())
    assert capsys.readouterr().err.splitlines() == [
        "▶ validate  iris 1",
        "  ✓ integrity          7 files  0.0 s",
    ]


def test_a_terminal_shows_what_is_asked_until_it_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    told(Progress())
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert shown.index("… integrity") < shown.index("\r\033[K  \033[32m✓")
    assert shown.count("\n") == 2


def test_quiet_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    told(Progress(quiet=True))
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
