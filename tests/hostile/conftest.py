"""What is planted for hostile code to find, and whoever would hear from it."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SECRET = "PLANTED-hunter2"


@dataclass
class Planted:
    """Secrets that a pipeline has, and the places at which stolen ones would show up.

    Args:
        loot: a folder outside of every confinement, into which hostile code writes what it finds.
        files: with a secret in each.
        port: of a host that listens on this machine.
        control: a Unix socket, such as the container engine's.
        callers: what was sent to both.
    """

    loot: Path
    files: list[str]
    port: int
    control: str
    callers: list[bytes] = field(default_factory=list)

    @property
    def stolen(self) -> dict[str, bytes]:
        """What hostile code has brought out, by kind; it was at work outside where "ran" is."""
        found = {each.name: each.read_bytes() for each in self.loot.iterdir()}
        return found | ({"sent": b"".join(self.callers)} if self.callers else {})


def _listen(listener: socket.socket, callers: list[bytes]) -> None:
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        callers.append(b"called")
        caller.close()


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    """Secrets in a file of this user and in one of a checkout; nobody listens after the test."""
    loot, outside = tmp_path / "loot", tmp_path / "pipeline"
    for folder in (loot, outside):
        folder.mkdir()
    secret = outside / ".netrc"
    secret.write_text(SECRET)
    unix = socket.socket(socket.AF_UNIX)
    address = f"\0{tmp_path}" if len(str(outside / "s")) > 100 else str(outside / "s")
    unix.bind(address)
    unix.listen()
    inet = socket.create_server(("127.0.0.1", 0))
    made = Planted(loot, [str(secret)], inet.getsockname()[1], address)
    threads = [
        threading.Thread(target=_listen, args=(each, made.callers), daemon=True)
        for each in (unix, inet)
    ]
    for thread in threads:
        thread.start()
    with unix, inet:
        yield made


def living(home: Path) -> list[str]:
    """Processes that have this folder in their environment, as all that a model starts has."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if bytes(home) in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found
