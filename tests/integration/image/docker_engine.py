"""The real engine and registry of these tests: whether there are any, and how they are asked."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.waiting import until

REGISTRY, BASE = os.environ.get("IMAGE_REGISTRY", ""), os.environ.get("BASE_IMAGE", "")
START_SECONDS = 300.0


def _missing() -> str:
    """Why no image can be built here; empty where one can."""
    if not REGISTRY or not BASE:
        return "IMAGE_REGISTRY and BASE_IMAGE are not set"
    if shutil.which("docker") is None:
        return "there is no docker"
    asked = subprocess.run(["docker", "buildx", "inspect"], capture_output=True, check=False)
    return "" if asked.returncode == 0 else "no docker engine answers"


MISSING = _missing()
NEEDED = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING or "there is an engine"),
    pytest.mark.xdist_group("image"),  # the engine builds one after the other anyway
]


def run_docker(*arguments: str) -> str:
    """What docker writes."""
    return subprocess.check_output(["docker", *arguments], text=True).strip()


@contextmanager
def container(reference: str, *options: str) -> Iterator[tuple[str, str]]:
    """A container as a cluster would run it: read-only, no rights; its name and its address."""
    name = run_docker(
        *("run", "--detach", "--read-only", "--cap-drop=ALL"),
        *("--security-opt=no-new-privileges", "--publish=127.0.0.1::8080", *options, reference),
    )
    try:
        address = f"http://{run_docker('port', name, '8080/tcp').splitlines()[0]}"
        wait_until_ready(name, address)
        yield name, address
    finally:
        run_docker("rm", "--force", name)


def wait_until_ready(name: str, address: str) -> None:
    """Wait until the server in a container is ready."""

    def ready() -> bool:
        try:
            return requests.get(f"{address}/ready", timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    until(ready, seconds=START_SECONDS, shown=lambda: run_docker("logs", name))


def told(line: str) -> None:
    """Nobody listens to the progress of a build."""
