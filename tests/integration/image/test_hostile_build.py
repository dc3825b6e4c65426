"""The build of a package, where it is allowed in an image: its code finds nothing to take along."""

import hashlib
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from model_release.image import docker
from model_release.image.docker import Order
from tests.hostile.hostile_wheels import NAME, source_distribution
from tests.integration.image import docker_engine
from tests.integration.image.docker_engine import BASE, run_docker, told

pytestmark = [*docker_engine.NEEDED, pytest.mark.long]

SECRET = "PLANTED-password-of-the-index"
LOOT = "/opt/venv/loot"
POISON = f"/var/cache/uv/poison-{token_hex(8)}"
ATTACK = f"""
import glob, pathlib
found = b""
for name in [*glob.glob("/proc/[0-9]*/environ"), *glob.glob("/run/*"), "/proc/mounts"]:
    try:
        found += pathlib.Path(name).read_bytes()
    except OSError:
        pass
pathlib.Path("{LOOT}").write_bytes(found)
pathlib.Path("{POISON}").touch()
"""
PROBE = f"""
FROM {BASE}
ARG PACKAGE_CACHE=uv
RUN --mount=type=cache,id=${{PACKAGE_CACHE}},target=/var/cache/uv \\
    test ! -e {POISON}
"""
"""Finds what was left in the cache of the images whose packages are not built."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which an engine finds its files as an index's."""
    folder = tmp_path / "packages"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            """Nothing: pytest shows what matters."""

    with ThreadingHTTPServer(("0.0.0.0", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"{_own_address()}:{server.server_port}"
        server.shutdown()


def _own_address() -> str:
    """This machine's address on its network; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def test_the_code_of_a_package_finds_no_password_and_leaves_nothing_to_others(
    orders: dict[str, Order],
    index: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, address = index
    package = source_distribution(folder, f"exec({ATTACK!r})")
    context = tmp_path / "context"
    shutil.copytree(orders["skops"].context, context)
    lock = context / "requirements.lock"
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    packages = lock.read_text().replace("source builds refused", "source builds allowed")
    lock.write_text(f"{packages}{NAME}==1.0 --hash=sha256:{digest}\n")
    monkeypatch.setenv("UV_FIND_LINKS", f"http://user:{SECRET}@{address}/")
    monkeypatch.setenv("UV_INDEX_PRIVATE_PASSWORD", SECRET)

    order = replace(orders["skops"], context=context, tag="built")
    docker.build(order, push=False, progress=told)

    loot = run_docker("run", "--rm", order.name, "cat", LOOT)
    assert "/var/cache/uv" in loot, "the code has run, and looked around"
    assert SECRET not in loot
    assert SECRET not in run_docker("image", "history", "--no-trunc", order.name)
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(PROBE)
    run_docker("buildx", "build", "--quiet", f"--file={dockerfile}", str(folder))
