"""Why an image could not be built: the log of `docker buildx build` → one line (pure)."""

import re

from model_release.errors import OutsideError, RefusedError, ReleaseError, UsageError

Cause = tuple[type[ReleaseError], str, str]
AGAIN = "run the same command again"
STAGES: dict[str, Cause] = {
    "base": (UsageError, "base image {base}", "choose a BASE_IMAGE with python3 {python}"),
    "dependencies": (
        OutsideError,
        "the locked packages cannot be installed in the image",
        "check that the package index answers; if it no longer has a package, validate the "
        "version again, which makes a new lock",
    ),
    "server": (OutsideError, "the server cannot be compiled", AGAIN),
    "model": (
        RefusedError,
        "the model in the build context",
        "find out who changed its files, then validate the version again",
    ),
    "image": (
        RefusedError,
        "the model does not load in the image",
        "validate the version again, or choose the base image that it was made for",
    ),
}
"""Stage of the Dockerfile → what it means when it fails: the error, its subject, the next step."""

WORDS: tuple[tuple[str, Cause], ...] = (
    (
        r"(?i)no space left on device",
        (OutsideError, "the disk of the docker engine is full", "run `docker buildx prune`"),
    ),
    (
        r"401 Unauthorized|403 Forbidden|access denied|authentication required|no basic auth",
        (OutsideError, "the registry of {name} refuses", "run `docker login {registry}`"),
    ),
    (
        r"load metadata for|failed to resolve source metadata",
        (UsageError, "base image {base}", "choose a BASE_IMAGE that the docker engine can pull"),
    ),
    (
        r"failed to push|pushing|failed to do request|connection re|broken pipe|EOF",
        (OutsideError, "push of {name}", f"check that the registry answers, then {AGAIN}"),
    ),
    (
        r"Cannot connect to the Docker daemon|failed to connect to the docker|docker\.sock",
        (OutsideError, "the docker engine does not answer", "start it, or set DOCKER_HOST"),
    ),
    (
        r"unknown command|is not a docker command|unknown flag|BuildKit is enabled but",
        (OutsideError, "docker has no current buildx", "install the docker-buildx plugin"),
    ),
)
"""What a log says of causes outside the Dockerfile's stages; the first that fits."""


UNKNOWN: Cause = (OutsideError, "docker buildx build failed", AGAIN)


def explain(log: str, base: str, name: str, python: str) -> ReleaseError:
    """The error for a failed build: its cause in the words of whatever failed.

    Args:
        log: what `docker buildx build --progress=plain` wrote.
        base: reference of the base image.
        name: repository and tag of what was to be built.
        python: minor version that the base has to have.
    """
    stage, said = _failed_step(log)
    outside = next((cause for words, cause in WORDS if re.search(words, said)), None)
    full = outside is WORDS[0][1]
    kind, what, next_step = (not full and STAGES.get(stage)) or outside or UNKNOWN
    registry = name.partition("/")[0]
    facts = {"base": base, "python": python, "name": name, "registry": registry}
    return kind(
        what.format(**facts),
        expected=f"python3 {python}" if stage == "base" else "",
        found=said[-400:],
        next_step=next_step.format(**facts),
    )


def _failed_step(log: str) -> tuple[str, str]:
    """Stage whose step failed ("" for none of them), and the last thing it said."""
    block = re.search(r"^-{6,}\n > (?:\[(\w+)[^\]]*\])?(.*?)^-{6,}$", log, re.MULTILINE | re.DOTALL)
    error = re.findall(r"^ERROR: (.*)$", log, re.MULTILINE) or log.strip().splitlines()[-1:]
    last = error[-1] if error else "nothing said"
    if block is None or block[1] not in STAGES:
        return "", last
    lines = [re.sub(r"^[\d.]+ ", "", line).strip() for line in block[2].splitlines()[1:]]
    return block[1], next((line for line in reversed(lines) if line), last)
