"""Images for real: build, push, pull, run and ask; with a real engine and a real registry.

They need a docker engine, and IMAGE_REGISTRY and BASE_IMAGE that it can reach.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from model_release import ROOT, environment, image
from model_release.digest import model_digest
from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.gates.environment import Limits
from model_release.image import Order
from model_release.release import load
from model_release.signing import Signing
from model_release.stations.build import build
from model_release.stations.image import Wanted, build_image
from model_release.stations.validate import validate
from model_release.workspace import Workspace
from tests.zoo import animals
from tests.zoo.ground import write_limits

HERE = Path(__file__).parent
NEEDED = ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "skops", "cloudpickle", "xgboost-cpu")
START_SECONDS = 300.0
KINDS = ("skops", "cloudpickle", "params", "tensor", "xgboost")
REGISTRY, BASE = os.environ.get("IMAGE_REGISTRY", ""), os.environ.get("BASE_IMAGE", "")


def engine() -> str:
    """Why no image can be built here; empty where one can."""
    if not REGISTRY or not BASE:
        return "IMAGE_REGISTRY and BASE_IMAGE are not set"
    if shutil.which("docker") is None:
        return "there is no docker"
    asked = subprocess.run(["docker", "buildx", "inspect"], capture_output=True, check=False)
    return "" if asked.returncode == 0 else "no docker engine answers"


pytestmark = [
    pytest.mark.skipif(bool(engine()), reason=engine() or "there is an engine"),
    pytest.mark.xdist_group("image"),  # the engine builds one after the other anyway
]


def docker(*arguments: str) -> str:
    return subprocess.check_output(["docker", *arguments], text=True).strip()


def wait_until_ready(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{address}/ready", timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
    pytest.fail(f"not ready after {START_SECONDS:g} s")


@contextmanager
def container(reference: str) -> Iterator[str]:
    """A container as a cluster would run it: read-only, no rights, any user; its address."""
    name = docker(
        *("run", "--detach", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"),
        *("--security-opt=no-new-privileges", "--publish=127.0.0.1::8080", reference),
    )
    try:
        address = f"http://{docker('port', name, '8080/tcp').splitlines()[0]}"
        wait_until_ready(address)
        yield address
    finally:
        docker("rm", "--force", name)


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory, home: Path) -> dict[str, Order]:
    """A context of each kind of model, all with the same lock."""
    place = tmp_path_factory.mktemp("image")
    seed = place / "seed"
    seed.mkdir()
    (seed / "python_env.yaml").write_text("python: 3.11.7\n")
    (seed / "requirements.txt").write_text("\n".join(NEEDED))
    lock = environment.lock(seed, ROOT / "serving" / "requirements.in", Limits(), home)
    python = environment.install(lock.path, "3.11", home)
    models = place / "models"
    models.mkdir()
    subprocess.run([python, HERE / "image_models.py", models, *KINDS], check=True, cwd=place)
    base = image.resolve(BASE)
    return {kind: _order(place / kind, models / kind, lock.path, base) for kind in KINDS}


def _order(context: Path, model: Path, lock: Path, base: str) -> Order:
    context.mkdir()
    shutil.copytree(model, context / "model")
    shutil.copy(model.with_suffix(".json"), context.parent / f"{context.name}.json")
    ignored = shutil.ignore_patterns("__pycache__", "requirements.in")
    shutil.copytree(ROOT / "serving", context / "serving", ignore=ignored)
    shutil.copy(lock, context / "requirements.lock")
    digest = model_digest(model)
    identity = {"model": context.name, "version": "1", "digest": digest, "release": "r1"}
    (context / "release.json").write_text(json.dumps(identity | {"batching": True}))
    labels = {"model-release/digest": digest}
    return Order(context, f"{REGISTRY}/test-{context.name}", "1", base, digest, labels)


def told(line: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_pulled_answers_as_the_model_does(orders: dict[str, Order], kind: str) -> None:
    order = orders[kind]
    case = json.loads((order.context.parent / f"{kind}.json").read_text())
    reference = f"{order.repository}@{image.build(order, push=True, progress=told)}"
    docker("image", "rm", "--force", order.name)
    docker("pull", "--quiet", reference)
    with container(reference) as address:
        answer = requests.post(f"{address}/invocations", json=case["request"], timeout=30)
        served = requests.get(f"{address}/model", timeout=5).json()
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == pytest.approx(case["predictions"], rel=1e-6)
    assert served == {"name": kind, "version": "1", "digest": order.digest, "release": "r1"}


def test_layers_and_rights(orders: dict[str, Order]) -> None:
    digests = {
        kind: image.build(orders[kind], push=True, progress=told) for kind in ("skops", "tensor")
    }
    layers = {}
    for kind, digest in digests.items():
        assert image.build(orders[kind], push=False, progress=told) == digest
        shown = docker("buildx", "imagetools", "inspect", "--raw", orders[kind].name)
        layers[kind] = [layer["digest"] for layer in json.loads(shown)["layers"]]
    differing = [a for a, b in zip(*layers.values(), strict=True) if a != b]
    assert len(differing) == 1, "only the model's layer is new where dependencies are the same"
    config = json.loads(docker("image", "inspect", orders["skops"].name))[0]["Config"]
    assert (config["User"], config["Cmd"]) == ("10001:10001", ["python", "-m", "serving"])
    assert config["Labels"] == orders["skops"].labels
    script = (
        "for each in pip pip3 gcc cc uv; do command -v $each && exit 1; done; "
        "python -m pip 2>/dev/null && exit 1; ls -A /var/cache/uv /root/.cache 2>/dev/null; id -u"
    )
    assert docker("run", "--rm", orders["skops"].name, "sh", "-c", script) == "10001"


def test_another_model_is_refused(orders: dict[str, Order]) -> None:
    order = replace(orders["skops"], digest="sha256:" + "0" * 64)
    with pytest.raises(RefusedError, match=r"^the model in the build context; found .*sha256:"):
        image.build(order, push=True, progress=told)


def test_a_model_that_does_not_load_is_refused(orders: dict[str, Order], tmp_path: Path) -> None:
    context = tmp_path / "broken"
    shutil.copytree(orders["skops"].context, context)
    (context / "model" / "model.skops").write_bytes(b"")
    digest = model_digest(context / "model")
    said = json.loads((context / "release.json").read_text()) | {"digest": digest}
    (context / "release.json").write_text(json.dumps(said))
    order = replace(orders["skops"], context=context, digest=digest, tag="broken")
    with pytest.raises(RefusedError, match=r"^the model does not load in the image; found serving"):
        image.build(order, push=True, progress=told)
    assert not image.pushed(order.name)


def test_a_base_with_another_python_is_refused(orders: dict[str, Order], tmp_path: Path) -> None:
    context = tmp_path / "newer"
    shutil.copytree(orders["skops"].context, context)
    lock = context / "requirements.lock"
    lock.write_text(lock.read_text().replace("# Python 3.11 on", "# Python 3.13 on", 1))
    with pytest.raises(
        UsageError, match=r"expected python3 3\.13; found python3 is 3\.11; next: c"
    ):
        image.build(replace(orders["skops"], context=context), push=True, progress=told)


def test_a_base_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=rf"^base image {REGISTRY}/no-such:1; .*BASE_IMAGE"):
        image.resolve(f"{REGISTRY}/no-such:1")


def test_a_registry_that_does_not_answer_is_named(orders: dict[str, Order]) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound, and nobody listens
        repository = f"127.0.0.1:{sock.getsockname()[1]}/iris"
        with pytest.raises(OutsideError, match=rf"^push of {repository}:1; .*connection refused"):
            image.build(replace(orders["skops"], repository=repository), push=True, progress=told)


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
    reference = f"{order.repository}@{image.build(order, push=True, progress=told)}"
    ours = Signing(key=str(keys / "ours.key"))
    with pytest.raises(RefusedError, match="no signatures found"):
        ours.verify(reference, "r1")
    (keys / "sbom.json").write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    ours.sign(reference, "r1", keys / "sbom.json")
    ours.verify(reference, "r1")
    Signing(public_key=str(keys / "ours.pub")).verify(reference, "r1")
    with pytest.raises(RefusedError, match="a signature for release r2 by the configured key"):
        ours.verify(reference, "r2")
    with pytest.raises(RefusedError, match="do not use it"):
        Signing(public_key=str(keys / "theirs.pub")).verify(reference, "r1")


def test_a_release_keeps_its_image(
    workspace: Workspace, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_KEY", str(keys / "ours.key"))
    write_limits(workspace.models_dir, "imaged")
    animals.GOOD(workspace, "imaged")
    release, context = build(workspace, validate(workspace, "imaged", None))
    wanted = Wanted(REGISTRY, BASE, push=True)

    release, made = build_image(workspace, release, context, wanted)

    written = load(workspace.registry, release.id)
    assert written.tags["release.image"] == made.reference == f"{REGISTRY}/imaged@{made.digest}"
    assert written.tags["release.image_digest"] == made.digest
    listed = {each["name"] for each in written.json("build/sbom.cdx.json")["components"]}
    assert listed >= {"numpy", "uvicorn"}
    begun = time.monotonic()
    assert build_image(workspace, written, context, wanted)[1].reference == made.reference
    assert time.monotonic() - begun < 20, "the registry has it: nothing is built"
    monkeypatch.setenv("COSIGN_PUBLIC_KEY", str(keys / "theirs.pub"))
    with pytest.raises(RefusedError, match=f"image {made.reference}; expected a signature for"):
        build_image(workspace, written, context, wanted)
    monkeypatch.delenv("COSIGN_PUBLIC_KEY")
    elsewhere = written.note({"release.image": "", "release.image_digest": "sha256:" + "0" * 64})
    with pytest.raises(RefusedError, match="image of the release, built again; expected sha256:00"):
        build_image(workspace, elsewhere, context, wanted)
