"""Ports for servers that can only be told a number."""

import itertools
import os
import random
import socket

FIRST, LAST = 20_000, 29_999
"""Below what the kernel gives to whoever asks for any port, and below Kubernetes' node ports.

A port of the kernel's own range that was asked for and closed again may be given to another process
before its server listens: two servers then have one port, and the tests of one talk to the other.
"""


def _own() -> list[int]:
    """The part of the ports that is this test process's own, of all that run side by side."""
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    index = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(FIRST, LAST + 1)[index::count]
    start = random.randrange(len(ports))  # another run on this machine begins elsewhere
    return [*ports[start:], *ports[:start]]


_ports = itertools.cycle(_own())


def free_port() -> int:
    """A port that nothing listens on, given to nobody else."""
    for port in itertools.islice(_ports, LAST - FIRST + 1):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
