"""Build contexts of every kind of model, all with one lock, made once."""

import json
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.digest import model_digest
from model_release.gates.environment import Limits
from model_release.image import docker
from model_release.image.docker import Order
from model_release.processes import environments
from tests.integration.image.docker_engine import BASE, REGISTRY, told

HERE = Path(__file__).parent
PACKAGES = ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "skops", "cloudpickle")
NEEDED = (*(f"{name}=={installed(name)}" for name in PACKAGES), "xgboost-cpu")
"""What all models of these tests require: one lock, one environment and one layer for all."""

KINDS = ("skops", "cloudpickle", "params", "tensor", "xgboost")


@pytest.fixture(scope="session")
def orders(
    tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[], Path]
) -> dict[str, Order]:
    """A context of each kind of model, all with the same lock."""
    place, home = tmp_path_factory.mktemp("image"), make_home()
    seed = place / "seed"
    seed.mkdir()
    (seed / "python_env.yaml").write_text("python: 3.11.7\n")
    (seed / "requirements.txt").write_text("\n".join(NEEDED))
    lock = environments.lock(seed, ROOT / "serving" / "requirements.in", Limits(), home)
    python = environments.install(lock.path, "3.11", home)
    models = place / "models"
    models.mkdir()
    subprocess.run([python, HERE / "image_models.py", models, *KINDS], check=True, cwd=place)
    base = docker.resolve(BASE)
    return {kind: _order(place / kind, models / kind, lock.path, base) for kind in KINDS}


@pytest.fixture(scope="session")
def pushed(orders: dict[str, Order]) -> Callable[[str], str]:
    """`pushed(kind)` is the reference of an image in the registry, built and pushed once."""
    references: dict[str, str] = {}

    def reference(kind: str) -> str:
        if kind not in references:
            digest = docker.build(orders[kind], push=True, progress=told)
            references[kind] = f"{orders[kind].repository}@{digest}"
        return references[kind]

    return reference


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
