"""The serving image: built from a release's context by the docker CLI, named by its digest.

The same context on the same base gives the same bytes, hence the same digest: file times are set to
a constant (a release's own time would make every layer of every release a new one), packages come
from a lock with hashes, and bytecode carries no times.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from model_release import ROOT
from model_release.errors import OutsideError, UsageError
from model_release.image.build_failures import explain
from model_release.processes.environments import builds_allowed
from model_release.processes.package_index import anonymous, options_elsewhere
from model_release.processes.tools import Done, call
from model_release.report.progress import Tell

DOCKERFILE = ROOT / "Dockerfile.mlflow-serve"
FILE_TIMES = "315532800"
"""SOURCE_DATE_EPOCH: 1 January 1980, the first moment that every archive format can write."""

# zstd packs the dependencies faster than gzip.
OUTPUT = "type=image,name={name},push={push},rewrite-timestamp=true,compression=zstd"

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
DIGEST_CODE = ("__init__.py", "digest.py", "errors.py")

TOOLS, INDEX, METADATA = "tools", "index", "metadata.json"
"""What lies beside the context while an image is built."""

BUILD_SECONDS = 3600.0
ASK_SECONDS = 120.0


@dataclass(frozen=True)
class Order:
    """What is to be built.

    Args:
        context: folder with `release.json`, `model/`, `requirements.lock`, `serving/`.
        repository: name without tag, such as `ghcr.io/owner/iris-classifier`.
        tag: one of its own for each release.
        base: base image by digest.
        digest: model digest that the files must have.
        labels: OCI labels.
    """

    context: Path
    repository: str
    tag: str
    base: str
    digest: str
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Platform:
    """What a lock was resolved for: Python as "3.11", the platform as docker writes it.

    `builds` is whether its packages may be built from source, which runs their code.
    """

    python: str
    docker: str
    builds: bool = False


def platform(lock: str) -> Platform:
    """Read the first line of a lock.

    Raises:
        UsageError: it was made for a system that no image is of.
    """
    first = lock.partition("\n")[0]
    match = re.match(r"# Python (\d+\.\d+) on (\w+)-(\w+)", first)
    python, system, machine = match.groups() if match else ("", "", "")
    if system != "linux" or machine not in ARCHITECTURES:
        raise UsageError(
            "the release's requirements.lock",
            expected=f"one for Linux on {' or '.join(ARCHITECTURES)}",
            found=first[:100],
            next_step="validate the version on Linux, because images run on Linux",
        )
    return Platform(python, f"linux/{ARCHITECTURES[machine]}", builds_allowed(lock))


def build(order: Order, *, push: bool, progress: Tell) -> str:
    """Build the image, start its server once without a network, and push it if asked to.

    Returns the digest, `sha256:…`. Whatever goes wrong, nothing is pushed.

    Raises:
        RefusedError: the model is another one, or it does not load in the image.
        UsageError: the base image cannot be used.
        OutsideError: docker, registry, package index or disk.
    """
    target = platform((order.context / "requirements.lock").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder)
        _lay_out(aside, target, os.environ)
        command = build_command(order, target, aside, os.environ, push=push)
        done = call(command, seconds=BUILD_SECONDS, listener=_steps(progress))
        if done.code:
            raise explain(done.err, order.base, order.name, target.python)
        told = json.loads((aside / METADATA).read_text("utf-8"))
    digest = told.get("containerimage.digest", "")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise OutsideError(
            "docker buildx names no digest of what it built",
            expected="a builder with an image store",
            next_step="run `docker buildx create --use`, then build again",
        )
    return str(digest)


def build_command(
    order: Order, target: Platform, aside: Path, environment: Mapping[str, str], *, push: bool
) -> list[str]:
    """The whole command line, which holds no password; `aside` is what `_lay_out` made.

    Code of packages that are built gets no password either, and a package cache of its own.
    """
    arguments = {
        "BASE_IMAGE": order.base,
        "PYTHON_VERSION": target.python,
        "MODEL_DIGEST": order.digest,
        "SOURCE_DATE_EPOCH": FILE_TIMES,
    }
    proxies = {name: environment[name] for name in PROXY_VARIABLES if environment.get(name)}
    if target.builds:
        arguments["PACKAGE_CACHE"] = order.digest
        arguments |= {name: anonymous(value) for name, value in proxies.items()}
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    options += [f"--build-arg={name}" for name in proxies if name not in arguments]
    options += [f"--label={name}={value}" for name, value in order.labels.items()]
    return [
        *("docker", "buildx", "build", "--progress=plain", f"--platform={target.docker}"),
        *("--provenance=false", "--sbom=false"),  # they hold the time of the build
        f"--file={DOCKERFILE}",
        f"--build-context=tools={aside / TOOLS}",
        f"--secret=id=index,src={aside / INDEX}",
        *options,
        f"--output={OUTPUT.format(name=order.name, push=str(push).lower())}",
        f"--metadata-file={aside / METADATA}",
        str(order.context),
    ]


def _lay_out(aside: Path, target: Platform, environment: Mapping[str, str]) -> None:
    """What the build uses and does not keep: uv, the code of the model digest, the index."""
    library = aside / TOOLS / "model_release"
    library.mkdir(parents=True)
    shutil.copy(find_uv_bin(), aside / TOOLS / "uv")
    for name in DIGEST_CODE:
        shutil.copy(ROOT / "model_release" / name, library)
    index = options_elsewhere(environment)
    (aside / INDEX).write_text(anonymous(index) if target.builds else index, "utf-8")


def _steps(progress: Tell) -> Tell:
    """Turn the lines of `--progress=plain` into one line a stage."""
    said: set[str] = set()

    def listen(line: str) -> None:
        match = re.match(r"#\d+ (?:\[(\w+) \d+/\d+\]|(exporting|pushing) )", line)
        stage = next(filter(None, match.groups()), "") if match else ""
        if stage and stage not in said:
            said.add(stage)
            progress(f"image: {stage}")

    return listen


def resolve(base: str) -> str:
    """A base image by digest: `name:tag` becomes `name:tag@sha256:…`.

    Raises:
        UsageError: there is no such image.
        OutsideError: its registry cannot be asked.
    """
    if re.search(r"@sha256:[0-9a-f]{64}$", base):
        return base
    done = _inspect(base, "--format={{json .Manifest}}")
    if done.code:
        raise UsageError(
            f"base image {base}",
            expected="one in a registry that answers",
            found=done.complaint.removeprefix("ERROR: "),
            next_step="set BASE_IMAGE to an image with the model's Python",
        )
    return f"{base}@{json.loads(done.out)['digest']}"


def pushed(reference: str) -> bool:
    """Whether the registry has an image, asked by digest.

    Raises:
        OutsideError: the registry does not say.
    """
    return labels(reference) is not None


def labels(reference: str) -> Mapping[str, str] | None:
    """The labels of an image of one platform in its registry; None where there is no such image.

    Raises:
        OutsideError: the registry does not say.
    """
    done = _inspect(reference, "--format={{json .Image}}")
    if done.code == 0:
        found: Mapping[str, str] = json.loads(done.out).get("config", {}).get("Labels") or {}
        return found
    if done.complaint.endswith("not found"):
        return None
    raise OutsideError(
        f"registry of {reference}",
        found=done.complaint.removeprefix("ERROR: "),
        next_step="check that the registry answers, and log in to it with `docker login`",
    )


def compressed_bytes(reference: str) -> int:
    """Bytes of a pushed image's layers, as they lie in the registry."""
    manifest = json.loads(_inspect(reference, "--raw").out or "{}")
    return sum(layer["size"] for layer in manifest.get("layers", ()))


def unpacked_bytes(name: str) -> int | None:
    """Bytes of an image's layers once unpacked; None where the engine does not hold it."""
    command = ["docker", "history", "--human=false", "--format={{.Size}}", name]
    done = call(command, seconds=ASK_SECONDS)
    return sum(int(size) for size in done.out.split()) if done.code == 0 else None


def _inspect(reference: str, *options: str) -> Done:
    command: Sequence[str] = ["docker", "buildx", "imagetools", "inspect", *options, reference]
    return call(command, seconds=ASK_SECONDS)
