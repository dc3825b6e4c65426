"""The serving image against the usual one: cold start and size, in one run, A B A B.

    IMAGE_REGISTRY=… BASE_IMAGE=… python benchmarks/image.py --image REFERENCE --model FOLDER

`REFERENCE` is what `scripts/build_image.py` made, `FOLDER` the same model's files (`model/` in its
context). The usual image is what most guides build on the same base; it gets the model from that
folder, so that a download is not counted. Ratios count: absolute figures are this machine's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

USUAL = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ENV PIP_BREAK_SYSTEM_PACKAGES=1 MLFLOW_DISABLE_TELEMETRY=true
RUN pip install --no-cache-dir 'mlflow[extras]==%s' boto3 psycopg2-binary 'scikit-learn==%s' skops
EXPOSE 8080
CMD ["mlflow", "models", "serve", "--model-uri", "/model", "--host", "0.0.0.0", "--port", "8080", \
"--workers", "2", "--env-manager", "local"]
"""
"""skops is added to the recipe: without it this model does not load."""

START_SECONDS = 180.0
MIB = 1024 * 1024
LIMITS = {"cold start": 0.45, "unpacked above base": 1 / 3}


@dataclass(frozen=True)
class Contender:
    """An image and how its container is started."""

    name: str
    image: str
    options: tuple[str, ...] = ()


def docker(*arguments: str) -> str:
    """Run docker; return what it writes."""
    return subprocess.check_output(["docker", *arguments], text=True).strip()


def build_usual(base: str, tag: str) -> str:
    """Build the usual image with the mlflow and scikit-learn of this environment."""
    from importlib.metadata import version

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(
            USUAL % (version("mlflow"), version("scikit-learn")), encoding="utf-8"
        )
        docker(
            "buildx", "build", "--load", f"--build-arg=BASE_IMAGE={base}", f"--tag={tag}", folder
        )
    return tag


def unpacked(image: str) -> int:
    """Bytes of the image's layers once unpacked."""
    return sum(
        int(size)
        for size in docker("history", "--human=false", "--format={{.Size}}", image).split()
    )


def cold_start(contender: Contender, body: bytes) -> float:
    """Seconds from the start of a container to the first 200 on /invocations."""
    name = docker("create", "--publish=127.0.0.1::8080", *contender.options, contender.image)
    try:
        started = time.perf_counter()
        docker("start", name)
        address = f"http://{docker('port', name, '8080/tcp').splitlines()[0]}/invocations"
        while time.perf_counter() - started < START_SECONDS:
            try:
                answer = requests.post(
                    address, data=body, headers={"Content-Type": "application/json"}, timeout=30
                )
                if answer.status_code == 200:
                    return time.perf_counter() - started
            except requests.ConnectionError:
                pass
            time.sleep(0.02)
        raise SystemExit(
            f"{contender.name}: no answer in {START_SECONDS:g} s\n{docker('logs', name)}"
        )
    finally:
        docker("rm", "--force", name)


def report(base: str, pair: Sequence[Contender], starts: dict[str, list[float]]) -> str:
    """A Markdown table: each measure of both, their ratio and what it has to be."""
    own, usual = pair
    floor = unpacked(base)
    rows = {
        "cold start": [statistics.median(starts[each.name]) for each in (own, usual)],
        "unpacked above base": [(unpacked(each.image) - floor) / MIB for each in (own, usual)],
    }
    lines = [
        f"| measure | {own.name} | {usual.name} | ratio | at most |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (mine, theirs) in rows.items():
        unit = "s" if name == "cold start" else "MiB"
        cells = f"{mine:.2f} {unit} | {theirs:.2f} {unit} | {mine / theirs:.3f}"
        lines.append(f"| {name} | {cells} | {LIMITS[name]:.2f} |")
    times = {name: [round(second, 2) for second in seconds] for name, seconds in starts.items()}
    return "\n".join([*lines, "", f"all cold starts, in order: {json.dumps(times)}"])


def main(argv: Sequence[str] | None = None) -> int:
    """Build the usual image, start both in turn, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--image", required=True, help="the image that build_image.py made")
    options.add_argument(
        "--model", required=True, type=Path, help="the folder of the model's files"
    )
    options.add_argument(
        "--base-image",
        default=os.environ.get("BASE_IMAGE", ""),
        help="the base of the usual image (default: BASE_IMAGE)",
    )
    options.add_argument(
        "--rounds", type=int, default=5, help="how often each image starts (default: %(default)s)"
    )
    arguments = options.parse_args(argv)
    for reference in (arguments.image, arguments.base_image):
        docker("pull", "--quiet", reference)
    usual = build_usual(arguments.base_image, "usual-mlflow-image:benchmark")
    mount = f"--volume={arguments.model.resolve()}:/model:ro"
    pair = (Contender("this image", arguments.image), Contender("usual image", usual, (mount,)))
    body = (arguments.model / "serving_input_example.json").read_bytes()
    starts: dict[str, list[float]] = {each.name: [] for each in pair}
    for turn in range(arguments.rounds):
        for each in pair:
            starts[each.name].append(cold_start(each, body))
            print(f"{turn + 1}: {each.name} {starts[each.name][-1]:.2f} s", file=sys.stderr)
    print(report(arguments.base_image, pair, starts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
