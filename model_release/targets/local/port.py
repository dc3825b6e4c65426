"""A port of this machine: take it, or say who holds it."""

import contextlib
import errno
import socket
from pathlib import Path

from model_release.errors import OutsideError

HOST = "127.0.0.1"
LISTEN = "0A"
"""State of a listening socket in `/proc/net/tcp`."""


def bind(port: int, how_to_choose: str) -> socket.socket:
    """Bind `port` on the loopback address; whoever serves calls `listen`.

    Args:
        port: a TCP port.
        how_to_choose: how the reader names another port, for the error.

    Raises:
        OutsideError: the port is taken or not allowed; names who holds it where that can be seen.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a predecessor's TIME_WAIT
    try:
        bound.bind((HOST, port))
    except OSError as error:
        bound.close()
        taken = error.errno == errno.EADDRINUSE
        raise OutsideError(
            f"port {port} on {HOST}",
            expected="a free port",
            found=f"taken by {holder(port)}" if taken else str(error.strerror),
            next_step=f"stop what holds it, or {how_to_choose}",
        ) from error
    return bound


def holder(port: int) -> str:
    """Who listens on `port`, such as "process 123 (python server.py)", if this user may see it."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    return (
                        f"process {process.name} ({command.decode(errors='replace')[:150].strip()})"
                    )
    return "another process"


def _listening_inodes(port: int) -> set[str]:
    """Links such as `socket:[4711]` of the sockets that listen on `port`; empty where unknown."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{columns[9]}]")
    return found
