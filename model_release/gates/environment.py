"""Environment: the model's dependencies lock and install, for the Python that will serve it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from model_release.gates.evidence import Environment
from model_release.gates.outcome import GateLimits, Outcome, failed, passed
from model_release.identity import short_digest

EVIDENCE = Environment

Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?$")]


class Limits(GateLimits):
    """The requirements lock with hashes and install, for the Python the model was logged with."""

    python: str = Field(
        "3.11",
        pattern=r"^3\.\d+$",
        description="Python of the base image, as major.minor in quotes.",
    )
    allow_source_builds: bool = Field(
        False,
        description="Whether packages without a wheel may be built, which runs their code: "
        "confined, and without the password of a package index.",
    )
    allow_hosts: tuple[Host, ...] = Field(
        (),
        description="Hosts, beside the package index, of wheels that a model may require as "
        "`name @ https://host/….whl#sha256=…`. What such a wheel requires is not looked up: the "
        "model requires it by name.",
    )
    confinement: Literal["required", "optional"] = Field(
        "optional",
        description="required: no model code runs on a system that cannot confine it fully.",
    )
    timeout_seconds: float = Field(
        900.0, gt=0, description="Seconds that locking may take, and installing again."
    )


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def judge(evidence: Environment, limits: Limits) -> Outcome:
    """Pass when there is an environment and its Python is the base image's."""
    required = f"locked by hash and installed, Python {limits.python}"
    if evidence.problem:
        return failed(
            required,
            evidence.problem,
            "correct pip_requirements= of log_model, then register the model again",
        )
    if limits.confinement == "required" and evidence.unprotected:
        return failed(
            "model code is confined",
            f"no {'; no '.join(evidence.unprotected)}",
            "judge the model on Linux 6.12 or newer where mounts are allowed, such as in a virtual "
            "machine, or remove gates.environment.confinement",
        )
    logged, image = _minor(evidence.python_logged), _minor(evidence.python_image)
    if logged != image:
        return failed(
            required,
            f"logged with Python {evidence.python_logged or 'unknown'}, base image {image}",
            f"train with Python {image}, or choose a base image with Python {logged or '3.x'} "
            "and name it in gates.environment.python",
        )
    found = f"{evidence.packages} packages, Python {evidence.python_logged}"
    if evidence.unprotected:
        found += f", model code has no {'; no '.join(evidence.unprotected)}"
    return passed(
        required,
        f"{found}, lock {short_digest(evidence.lock_sha256)}…, {evidence.seconds:.1f} s",
        packages=evidence.packages,
        environment_seconds=evidence.seconds,
    )
