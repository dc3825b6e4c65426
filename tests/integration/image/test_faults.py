"""What cannot be built or pushed says why in one line and leaves nothing under the name."""

import json
import re
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import pytest

from model_release.digest import model_digest
from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.image import docker
from model_release.image.docker import Order
from tests.integration.image import docker_engine
from tests.integration.image.docker_engine import REGISTRY, told
from tests.integration.image.registries import dying, refusing
from tests.integration.image.small_docker_engine import small_docker_engine

pytestmark = docker_engine.NEEDED


def changed(order: Order, folder: Path, tag: str) -> Order:
    """The same order with a context of its own, which may be changed."""
    shutil.copytree(order.context, folder)
    return replace(order, context=folder, tag=tag)


def test_another_model_is_refused(orders: dict[str, Order]) -> None:
    order = replace(orders["skops"], digest="sha256:" + "0" * 64, tag="other")
    with pytest.raises(RefusedError, match=r"^the model in the build context; found .*sha256:"):
        docker.build(order, push=True, progress=told)
    assert not docker.pushed(order.name)


def test_a_model_that_does_not_load_is_refused(orders: dict[str, Order], tmp_path: Path) -> None:
    order = changed(orders["skops"], tmp_path / "broken", "broken")
    (order.context / "model" / "model.skops").write_bytes(b"")
    digest = model_digest(order.context / "model")
    path = order.context / "release.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"digest": digest}))
    with pytest.raises(RefusedError, match=r"^the model does not load in the image; found serving"):
        docker.build(replace(order, digest=digest), push=True, progress=told)
    assert not docker.pushed(order.name)


def test_a_lock_that_no_longer_resolves_is_named(orders: dict[str, Order], tmp_path: Path) -> None:
    order = changed(orders["skops"], tmp_path / "yanked", "yanked")
    lock = order.context / "requirements.lock"
    lock.write_text(re.sub(r"(?m)^(httptools==)\S+", r"\g<1>0.0.99", lock.read_text()))
    with pytest.raises(OutsideError, match=r"^the locked packages cannot be .*httptools==0\.0\.99"):
        docker.build(order, push=True, progress=told)
    assert not docker.pushed(order.name)


def test_a_base_with_another_python_is_refused(orders: dict[str, Order], tmp_path: Path) -> None:
    order = changed(orders["skops"], tmp_path / "newer", "newer")
    lock = order.context / "requirements.lock"
    lock.write_text(lock.read_text().replace("# Python 3.11 on", "# Python 3.13 on", 1))
    with pytest.raises(
        UsageError, match=r"expected python3 3\.13; found python3 is 3\.11; next: c"
    ):
        docker.build(order, push=True, progress=told)
    assert not docker.pushed(order.name)


def test_a_base_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=rf"^base image {REGISTRY}/no-such:1; .*BASE_IMAGE"):
        docker.resolve(f"{REGISTRY}/no-such:1")


def test_a_registry_that_does_not_answer_is_named(orders: dict[str, Order]) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound, and nobody listens
        repository = f"127.0.0.1:{sock.getsockname()[1]}/iris"
        with pytest.raises(OutsideError, match=rf"^push of {repository}:1; .*connection refused"):
            docker.build(replace(orders["skops"], repository=repository), push=True, progress=told)


def test_a_registry_that_refuses_the_login_is_named(orders: dict[str, Order]) -> None:
    with refusing() as registry:
        order = replace(orders["skops"], repository=f"{registry}/iris")
        with pytest.raises(
            OutsideError, match=rf"^the registry of {order.name} refuses; .*docker login {registry}"
        ):
            docker.build(order, push=True, progress=told)


def test_a_registry_that_dies_in_a_push_leaves_no_image(orders: dict[str, Order]) -> None:
    name = f"test-half-way-{token_hex(4)}"  # what an earlier run has sent is not sent again
    with dying(REGISTRY.partition("/")[0], after_bytes=2**20) as registry:
        order = replace(orders["skops"], repository=f"{registry}/{name}")
        with pytest.raises(OutsideError, match=rf"^push of {order.name}; found .*; next: check"):
            docker.build(order, push=True, progress=told)
    real = f"{REGISTRY.partition('/')[0]}/{name}:1"
    assert not docker.pushed(real), "the layers that arrived are under no name"


def test_an_engine_whose_disk_is_full_is_named(
    orders: dict[str, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = replace(orders["skops"], repository=f"{REGISTRY}/test-disk-full")
    # Not below pytest's folder: the path of a socket has to be short.
    with (
        TemporaryDirectory(prefix="engine-") as folder,
        small_docker_engine(Path(folder), "100m") as host,
    ):
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(OutsideError, match=r"^the disk of the docker engine is full; .*prune"):
            docker.build(order, push=True, progress=told)
    assert not docker.pushed(order.name)
