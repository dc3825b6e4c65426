"""Command: what a tool says, and how it ends."""

import sys
import time

import pytest

from model_release.errors import OutsideError
from model_release.processes.tools import Done, call


def test_output_and_exit_code_are_kept_and_lines_are_told() -> None:
    script = "import sys; print('out'); print('one\\ntwo', file=sys.stderr); sys.exit(3)"
    told: list[str] = []
    assert call([sys.executable, "-c", script], seconds=20) == Done(3, "out\n", "one\ntwo\n")
    call([sys.executable, "-c", script], seconds=20, listener=told.append)
    assert told == ["one", "two"]


@pytest.mark.parametrize(
    ("err", "complaint"),
    [
        ("warning: a\nError: b\nhint\n", "Error: b"),
        ("one\n\ntwo\n", "two"),
        ("", "exit code 3"),
    ],
)
def test_the_complaint_is_one_line(err: str, complaint: str) -> None:
    assert Done(3, "", err).complaint == complaint


def test_what_does_not_end_is_ended() -> None:
    begun = time.monotonic()
    with pytest.raises(OutsideError, match=r"still running after 0\.2 s"):
        call([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.2)
    assert time.monotonic() - begun < 20


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(OutsideError, match=r"no-such-tool cannot be run.*next: install no-such"):
        call(["no-such-tool"], seconds=1)
