"""A second Docker Engine on a disk of its own, which is soon full."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.ledger.servers import running

BRIDGE = "small-engine"
# In a mount namespace of its own: the small file system is gone when the engine is.
START = f"""
mount -t tmpfs -o size={{size}} tmpfs {{data}}
ip link show {BRIDGE} >/dev/null 2>&1 || ip link add {BRIDGE} type bridge
ip address replace 10.254.77.1/24 dev {BRIDGE}
exec {{dockerd}}
"""


@contextmanager
def small_docker_engine(folder: Path, size: str) -> Iterator[str]:
    """An engine whose images, layers and build cache have `size` bytes; its DOCKER_HOST.

    It has a bridge of its own and sets no rules: an engine without one takes the default bridge,
    which is the other engine's, away.
    """
    if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", "ip"))):
        pytest.skip("no second engine: that needs dockerd and ip on PATH, and root")
    host, data = f"unix://{folder}/docker.sock", folder / "data"
    data.mkdir()
    dockerd = ["dockerd", f"--host={host}", f"--data-root={data}", f"--exec-root={folder}/run"]
    dockerd += [f"--pidfile={folder}/pid", f"--bridge={BRIDGE}"]
    dockerd += [f"--{rule}=false" for rule in ("iptables", "ip6tables", "ip-forward", "ip-masq")]
    start = START.format(size=size, data=shlex.quote(str(data)), dockerd=shlex.join(dockerd))
    command = ["unshare", "--mount", "sh", "-e", "-c", start]
    try:
        with running(command, lambda: _answers(host), folder / "log"):
            yield host
    finally:
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)


def _answers(host: str) -> bool:
    command = ["docker", f"--host={host}", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
