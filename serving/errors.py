"""The server's own errors, each one line: what is wrong, expected, found, and the next step."""


class ServingError(Exception):
    """The server cannot start; `str()` of it is one line.

    Args:
        what: the thing that is wrong, named.
        expected: what it should have been.
        found: what it was.
        next_step: what the reader can do now.
    """

    exit_code = 3

    def __init__(self, what: str, *, expected: str, found: str, next_step: str) -> None:
        line = f"{what}; expected {expected}; found {found}; next: {next_step}"
        super().__init__(" ".join(line.split()))


class WrongUsageError(ServingError):
    """The server was started with invalid settings or an invalid context (exit code 2)."""

    exit_code = 2
