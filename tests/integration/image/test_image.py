"""Images for real: build, push, pull, run and ask; with a real engine and a real registry.

They need a docker engine, and IMAGE_REGISTRY and BASE_IMAGE that it can reach.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from model_release import ROOT
from model_release.errors import RefusedError
from model_release.image import docker
from model_release.image.context import build_context
from model_release.image.docker import Order
from model_release.image.signing import Signing
from model_release.releases import load
from model_release.stations.build_image import ImageSettings, build_image
from model_release.stations.validate_model import validate_model
from model_release.workspace import Workspace
from tests.bad_models import models
from tests.bad_models.limits import write_limits
from tests.integration.image import docker_engine
from tests.integration.image.conftest import KINDS, NEEDED
from tests.integration.image.docker_engine import BASE, REGISTRY, container, run_docker, told
from tests.waiting import until

pytestmark = docker_engine.NEEDED

PACKAGES = "/opt/venv/lib/python3.11/site-packages"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_pulled_answers_as_the_model_does(
    orders: dict[str, Order], pushed: Callable[[str], str], kind: str
) -> None:
    order, reference = orders[kind], pushed(kind)
    case = json.loads((order.context.parent / f"{kind}.json").read_text())
    run_docker("image", "rm", "--force", order.name)
    run_docker("pull", "--quiet", reference)
    with container(reference) as (_, address):
        answer = requests.post(f"{address}/invocations", json=case["request"], timeout=30)
        served = requests.get(f"{address}/model", timeout=5).json()
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == pytest.approx(case["predictions"], rel=1e-6)
    assert served == {"name": kind, "version": "1", "digest": order.digest, "release": "r1"}


def test_layers_and_rights(orders: dict[str, Order], pushed: Callable[[str], str]) -> None:
    layers = {}
    for kind in ("skops", "tensor"):
        shown = run_docker("buildx", "imagetools", "inspect", "--raw", pushed(kind))
        layers[kind] = [layer["digest"] for layer in json.loads(shown)["layers"]]
    differing = [a for a, b in zip(*layers.values(), strict=True) if a != b]
    assert len(differing) == 1, "only the model's layer is new where dependencies are the same"
    again = docker.build(orders["skops"], push=False, progress=told)
    assert pushed("skops").endswith(again), "the same context gives the same image"
    config = json.loads(run_docker("image", "inspect", orders["skops"].name))[0]["Config"]
    assert (config["User"], config["Cmd"]) == ("10001:10001", ["python", "-m", "serving"])
    assert config["Labels"] == orders["skops"].labels
    script = (
        "for each in pip pip3 gcc cc uv; do command -v $each && exit 1; done; "
        "python -m pip 2>/dev/null && exit 1; ls -A /var/cache/uv /root/.cache 2>/dev/null; id -u; "
        f"ls serving/__pycache__/app.*.pyc {PACKAGES}/sklearn/__pycache__/base.*.pyc | wc -l"
    )
    assert run_docker("run", "--rm", orders["skops"].name, "sh", "-c", script).split() == [
        "10001",
        "2",
    ]


def test_a_rebuild_without_any_cache_gives_the_same_image(
    orders: dict[str, Order],
    pushed: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference, real = pushed("skops"), shutil.which("docker")
    shim = tmp_path / "docker"
    shim.write_text(
        f'#!/bin/sh\nif [ "$1 $2" = "buildx build" ]; then shift 2; set -- buildx build --no-cache '
        f'"$@"; fi\nexec {real} "$@"\n'
    )
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert reference.endswith(docker.build(orders["skops"], push=False, progress=told))


def test_python_starts_from_bytecode_where_the_base_has_none(orders: dict[str, Order]) -> None:
    stripped = f"{REGISTRY}/test-base:without-bytecode"
    dockerfile = f"FROM {BASE}\nRUN find /usr -name '*.pyc' -delete\n"
    command = ["docker", "buildx", "build", "--quiet", "--push", "--tag", stripped, "-"]
    subprocess.run(command, input=dockerfile, text=True, check=True, capture_output=True)
    order = replace(orders["skops"], base=docker.resolve(stripped), tag="without-bytecode")
    docker.build(order, push=False, progress=told)
    script = "import asyncio, os; print(os.path.exists(asyncio.__cached__))"
    for reference, compiled in ((stripped, "False"), (order.name, "True")):
        out = run_docker(
            "run", "--rm", "--read-only", reference, "python3", "-I", "-B", "-c", script
        )
        assert out == compiled


def test_a_second_worker_and_the_health_check_need_no_more_rights(
    pushed: Callable[[str], str],
) -> None:
    options = ("--tmpfs=/tmp", "--env=SERVING_WORKERS=2")
    with container(pushed("skops"), *options) as (name, address):
        metrics = requests.get(f"{address}/metrics", timeout=30)
        assert 'serving_model_info{digest="sha256:' in metrics.text
        health = ("inspect", "--format={{.State.Health.Status}}", name)
        until(
            lambda: run_docker(*health) == "healthy",
            seconds=docker_engine.START_SECONDS,
            shown=lambda: run_docker("logs", name),
        )


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the key pairs `ours` and `theirs`."""
    if shutil.which("cosign") is None:
        pytest.skip("there is no cosign")
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    for name in ("ours", "theirs"):
        command = ["cosign", "generate-key-pair", f"--output-key-prefix={tmp_path / name}"]
        subprocess.run(command, check=True, capture_output=True)
    return tmp_path


def test_only_what_is_signed_for_the_release_is_used(orders: dict[str, Order], keys: Path) -> None:
    order = replace(orders["skops"], labels={"signed": str(time.time())})
    reference = f"{order.repository}@{docker.build(order, push=True, progress=told)}"
    ours = Signing(key=str(keys / "ours.key"))
    with pytest.raises(RefusedError, match="no signatures found"):
        ours.verify(reference, "r1", "e1")
    (keys / "sbom.json").write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    ours.sign(reference, "r1", "e1", keys / "sbom.json")
    ours.verify(reference, "r1", "e1")
    Signing(public_key=str(keys / "ours.pub")).verify(reference, "r1", "e1")
    with pytest.raises(RefusedError, match="a signature for release r2 by the configured key"):
        ours.verify(reference, "r2", "e1")
    with pytest.raises(RefusedError, match="by the configured key, with evidence=e2"):
        ours.verify(reference, "r1", "e2")
    with pytest.raises(RefusedError, match="do not use it"):
        Signing(public_key=str(keys / "theirs.pub")).verify(reference, "r1", "e1")


def test_a_release_keeps_its_image(
    workspace: Workspace, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_KEY", str(keys / "ours.key"))
    write_limits(workspace.models_dir, "imaged")
    models.from_code(requirements=NEEDED)(workspace, "imaged")
    release = validate_model(workspace, "imaged", None)

    said = by_script(workspace, tmp_path / "outputs")

    written = load(workspace.registry, release.id)
    digest = written.tags["release.image_digest"]
    reference = f"{REGISTRY}/imaged@{digest}"
    assert (said["outcome"], said["image"], said["image_digest"]) == ("passed", reference, digest)
    assert said["release"] == release.id
    assert said["size"]["unpacked_bytes"] > said["size"]["compressed_bytes"] > 0
    assert set(said["seconds"]) == {"context", "image"}
    assert (tmp_path / "outputs").read_text() == f"digest={digest}\n"
    assert written.tags["release.image"] == reference
    listed = {each["name"] for each in written.json("build/sbom.cdx.json")["components"]}
    assert listed >= {"numpy", "uvicorn"}

    wanted = ImageSettings(REGISTRY, BASE, push=True)
    written, context = build_context(workspace, written)
    with monkeypatch.context() as without:
        without.setattr(docker, "build", lambda *_, **__: pytest.fail("the registry has it"))
        assert build_image(workspace, written, context, wanted)[1].reference == reference
    monkeypatch.setenv("COSIGN_PUBLIC_KEY", str(keys / "theirs.pub"))
    with pytest.raises(RefusedError, match=f"image {reference}; expected a signature for"):
        build_image(workspace, written, context, wanted)
    monkeypatch.delenv("COSIGN_PUBLIC_KEY")
    other = {"release.image_digest": "sha256:" + "0" * 64}
    elsewhere = replace(written, tags=written.tags | {"release.image": ""}, bound=other)
    with pytest.raises(
        RefusedError, match="image of the release, built a second time; expected sha256:00"
    ):
        build_image(workspace, elsewhere, context, wanted)


def by_script(workspace: Workspace, outputs: Path) -> dict[str, Any]:
    """What `build_image.py --push --format json` says, as the workflow runs it."""
    script = [sys.executable, str(ROOT / "scripts" / "build_image.py"), "--push", "--format=json"]
    script += ["--model-name=imaged", f"--home={workspace.home}"]
    done = subprocess.run(
        [*script, f"--models-dir={workspace.models_dir}"],
        env={**os.environ, "GITHUB_OUTPUT": str(outputs)},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
