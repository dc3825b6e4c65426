"""Every setting of the server, its environment variable, its default and what it means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from serving.errors import WrongUsageError


def _setting(variable: str, default: float, at_least: float, what: str) -> float:
    metadata = {"variable": variable, "at_least": at_least, "what": what}
    value: float = field(default=default, metadata=metadata)
    return value


def _count(variable: str, default: int, at_least: int, what: str) -> int:
    metadata = {"variable": variable, "at_least": at_least, "what": what}
    value: int = field(default=default, metadata=metadata)
    return value


@dataclass(frozen=True)
class Settings:
    """How the server behaves. Host and port are flags: Kubernetes sets `…_PORT` by itself."""

    workers: int = _count(
        "SERVING_WORKERS", 1, 1, "processes; a second one costs its memory and gains little"
    )
    threads: int = _count(
        "SERVING_THREADS",
        0,
        0,
        "predictions at a time; 0: one where requests are merged, else CPUs + 4 as in MLflow",
    )
    batch_rows: int = _count(
        "SERVING_BATCH_MAX_ROWS", 256, 1, "rows that are merged into one prediction at most"
    )
    queue_requests: int = _count(
        "SERVING_QUEUE_MAX_REQUESTS", 512, 1, "requests that may wait; one more is answered 429"
    )
    body_bytes: int = _count(
        "SERVING_MAX_BODY_BYTES", 16 * 2**20, 1, "size of a body; a larger one is answered 413"
    )
    held_bytes: int = _count(
        "SERVING_MAX_HELD_BYTES",
        128 * 2**20,
        1,
        "bytes of all bodies that are read and not answered yet; beyond that the answer is 429",
    )
    columns: int = _count(
        "SERVING_MAX_COLUMNS",
        4096,
        1,
        "columns of a table, or as many as the signature has; more is answered 400",
    )
    cells: int = _count(
        "SERVING_MAX_CELLS",
        2_000_000,
        1,
        "cells that a body may become, or as many as it has bytes; more is answered 400",
    )
    request_seconds: float = _setting(
        "SERVING_REQUEST_TIMEOUT_SECONDS",
        60.0,
        0.001,
        "time from the first byte of the body to the answer; then 408 (body not here) or 504",
    )
    hang_seconds: float = _setting(
        "SERVING_HANG_SECONDS",
        60.0,
        5.0,
        "time over which every prediction may be late, or the event loop stand still; then it ends",
    )
    keep_alive_seconds: float = _setting(
        "SERVING_KEEP_ALIVE_SECONDS",
        75.0,
        0.1,
        "an idle connection is closed after this; keep it above that of the proxy in front",
    )
    header_seconds: float = _setting(
        "SERVING_HEADER_TIMEOUT_SECONDS",
        10.0,
        0.1,
        "time a client has to send the headers of a request; then the connection is closed",
    )
    drain_listen_seconds: float = _setting(
        "SERVING_DRAIN_LISTEN_SECONDS",
        0.0,
        0.0,
        "on SIGTERM go on accepting connections this long; Kubernetes needs about 5",
    )
    drain_idle_seconds: float = _setting(
        "SERVING_DRAIN_IDLE_SECONDS",
        2.0,
        0.0,
        "on SIGTERM leave idle connections open this long: a request may be on its way",
    )
    log_sample: float = _setting(
        "SERVING_LOG_SAMPLE", 0.01, 0.0, "share of requests that leave a log line (0 to 1)"
    )

    @property
    def drain_seconds(self) -> float:
        """The longest that a drain takes."""
        return self.drain_listen_seconds + self.drain_idle_seconds + self.request_seconds

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings; a variable that is unset or empty means the default.

        Raises:
            WrongUsageError: a value is not a number or too small.
        """
        values: dict[str, float] = {}
        for setting in fields(cls):
            text = environment.get(setting.metadata["variable"], "").strip()
            if text:
                values[setting.name] = _number(setting.metadata, text, type(setting.default))
        return cls(**values)  # type: ignore[arg-type]  # each is converted by its default's type


def _number(metadata: Mapping[str, object], text: str, kind: type) -> float:
    at_least = metadata["at_least"]
    try:
        value: float = kind(text)
    except ValueError:
        value = float("nan")
    if not (isinstance(at_least, int | float) and at_least <= value < float("inf")):
        raise WrongUsageError(
            f"environment variable {metadata['variable']}",
            expected=f"{'a whole number' if kind is int else 'a number'} from {at_least}",
            found=repr(text),
            next_step="correct the variable, or unset it to use the default",
        )
    return value


def settings_table() -> str:
    """The settings as lines `VARIABLE (default): meaning`, for `--help`."""
    lines = (
        f"  {each.metadata['variable']} ({each.default}): {each.metadata['what']}"
        for each in fields(Settings)
    )
    return "\n".join(lines)
