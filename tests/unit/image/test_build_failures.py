"""Build failure: logs in the form that `docker buildx build --progress=plain` has → one line."""

import pytest

from model_release.errors import OutsideError, RefusedError, ReleaseError, UsageError
from model_release.image.build_failures import explain

BASE = "reg/python:3.12"
NAME = "reg.example/owner/iris:2-0123abcd"
PUSH = (
    f"failed to build: failed to solve: failed to push {NAME}: unexpected status from HEAD request "
    "to https://reg.example/v2/owner/iris/blobs/sha256:64019f403e"
)
"""As BuildKit says it. Digests hold numbers that are no status."""

PROCESS = 'ERROR: failed to build: failed to solve: process "/bin/sh -c …" did not complete: 1\n'


def failed_step(header: str, *said: str) -> str:
    """A log as buildx ends it when a step fails."""
    lines = "\n".join(f"2.118 {line}" for line in said)
    return (
        "#6 DONE 0.1s\n#9 ERROR: process …\n"
        f"------\n > {header}:\n{lines}\n------\n\n"
        " \x1b[33m1 warning found (use docker --debug to expand):\n"
        "Dockerfile.mlflow-serve:10\n--------------------\n  10 | >>> RUN …\n"
        f"--------------------\n{PROCESS}"
    )


CASES: dict[str, tuple[str, type[ReleaseError], str]] = {
    "base without the Python": (
        failed_step("[base 2/2] RUN found=$(python3 …)", "python3 is 3.11"),
        UsageError,
        "base image reg/python:3.12; expected python3 3.12; found python3 is 3.11; "
        "next: choose a BASE_IMAGE with python3 3.12",
    ),
    "another model": (
        failed_step("[model 3/3] RUN --mount=from=tools <<CHECK (…)", "digest sha256:1"),
        RefusedError,
        "the model in the build context; found digest sha256:1; "
        "next: find out who changed its files, then validate the version again",
    ),
    "does not load": (
        failed_step(
            "[image 5/5] RUN --network=none python -c …",
            "Traceback (most recent call last):",
            "serving.errors.ServingError: model iris version 2; found ImportError: libgomp.so.1",
        ),
        RefusedError,
        "the model does not load in the image; found serving.errors.ServingError: model iris "
        "version 2; found ImportError: libgomp.so.1; "
        "next: validate the version again, or choose the base image that it was made for",
    ),
    "lock no longer resolves": (
        failed_step("[dependencies 3/4] RUN uv pip sync", "error: Failed to fetch: 404 Not Found"),
        OutsideError,
        "the locked packages cannot be installed in the image; found error: Failed to fetch: 404 "
        "Not Found; next: check that the package index answers; if it no longer has a package, "
        "validate the version again, which makes a new lock",
    ),
    "disk full in a step": (
        failed_step("[dependencies 3/4] RUN uv pip sync", "error: No space left on device (os 28)"),
        OutsideError,
        "the disk of the docker engine is full; found error: No space left on device (os 28); "
        "next: run `docker buildx prune`",
    ),
    "no such base": (
        "------\n > [internal] load metadata for reg/python:3.12:\n------\n"
        "ERROR: failed to build: failed to solve: reg/python:3.12: failed to resolve source "
        "metadata for reg/python:3.12: not found\n",
        UsageError,
        "base image reg/python:3.12; found failed to build: failed to solve: reg/python:3.12: "
        "failed to resolve source metadata for reg/python:3.12: not found; "
        "next: choose a BASE_IMAGE that the docker engine can pull",
    ),
    "login refused": (
        f"------\n > exporting to image:\n------\nERROR: {PUSH}: 401 Unauthorized\n",
        OutsideError,
        f"the registry of {NAME} refuses; found {PUSH}: 401 Unauthorized; "
        "next: run `docker login reg.example`",
    ),
    "not allowed": (
        f"ERROR: {PUSH}: 403 Forbidden\n",
        OutsideError,
        f"the registry of {NAME} refuses; found {PUSH}: 403 Forbidden; "
        "next: run `docker login reg.example`",
    ),
    "registry fails": (
        f"ERROR: {PUSH}: 500 Internal Server Error\n",
        OutsideError,
        f"push of {NAME}; found {PUSH}: 500 Internal Server Error; "
        "next: check that the registry answers, then run the same command again",
    ),
    "no buildx": (
        "docker: unknown command: docker buildx\n",
        OutsideError,
        "docker has no current buildx; found docker: unknown command: docker buildx; "
        "next: install the docker-buildx plugin",
    ),
    "nothing known": (
        "",
        OutsideError,
        "docker buildx build failed; found nothing said; next: run the same command again",
    ),
}


@pytest.mark.parametrize(("log", "kind", "text"), CASES.values(), ids=CASES)
def test_the_cause_is_named_in_one_line(log: str, kind: type[ReleaseError], text: str) -> None:
    error = explain(log, BASE, NAME, "3.12")
    assert (type(error), str(error)) == (kind, text)
