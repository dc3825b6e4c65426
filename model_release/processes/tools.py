"""Runs command-line tools: docker, cosign, git."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Timer

from model_release.errors import OutsideError

Listener = Callable[[str], None]
"""Takes one line of standard error while the command runs."""


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The last error that it wrote, in one line."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")]
        return (errors or lines or [f"exit code {self.code}"])[-1][:500]


def call(command: Sequence[str], *, seconds: float, listener: Listener | None = None) -> Done:
    """Run a command with this process's environment and no standard input; return what came of it.

    Raises:
        OutsideError: it is not installed, or it does not end within `seconds`.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise OutsideError(
            f"{command[0]} cannot be run: {error.strerror}", next_step=f"install {command[0]}"
        ) from error
    timer = Timer(seconds, process.kill)
    with process:
        timer.start()
        try:
            out, err = _read(process, listener)
        except BaseException:  # an interrupt, or what the listener raises
            process.terminate()
            raise
        finally:
            overdue = not timer.is_alive()
            timer.cancel()
    if overdue:
        raise OutsideError(
            f"{' '.join(command[:3])}: still running after {seconds:g} s, and ended",
            next_step=f"find out what {command[0]} waits for, then run the same command again",
        )
    return Done(process.returncode, out, err)


def _read(process: "subprocess.Popen[str]", listener: Listener | None) -> tuple[str, str]:
    """Everything that the process writes. A listened-to command writes little to its output."""
    if listener is None or process.stderr is None or process.stdout is None:
        return process.communicate()
    lines = []
    for line in process.stderr:
        lines.append(line)
        listener(line.rstrip("\n"))
    return process.stdout.read(), "".join(lines)
