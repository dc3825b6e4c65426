"""The `kubernetes:` section of `models/<name>.yaml`: size, address and canary of one model."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from model_release.config.section import Section

SUFFIXES = {
    "": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def _text(value: object) -> object:
    """YAML reads `cpu: 1` as a number; Kubernetes takes quantities as text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Quantity = Annotated[str, BeforeValidator(_text), Field(pattern=QUANTITY)]


def amount(quantity: str) -> float:
    """A Kubernetes quantity as a number: "250m" is 0.25 (CPUs), "1Ki" is 1024 (bytes)."""
    number, suffix = re.fullmatch(r"([0-9.]+)(.*)", quantity).groups()  # type: ignore[union-attr]
    return float(number) * SUFFIXES[suffix]


class Replicas(Section):
    """Bounds between which the HorizontalPodAutoscaler chooses."""

    min: int = Field(
        1, ge=1, description="Smallest number of pods; two survive the loss of a node."
    )
    max: int = Field(2, ge=1, description="Largest number of pods.")

    @model_validator(mode="after")
    def _are_bounds(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max {self.max} is below min {self.min}")
        return self


class Environments(Section):
    """The bounds of each environment."""

    staging: Replicas = Field(Replicas(), description="Number of pods in staging.")
    production: Replicas = Field(
        Replicas(min=2, max=6), description="Number of pods in production."
    )


class Amounts(Section):
    """CPU and memory of one pod."""

    cpu: Quantity = Field(description="CPUs, such as 250m or 2.")
    memory: Quantity = Field(description="Bytes, such as 512Mi or 2Gi.")


class Resources(Section):
    """What the scheduler keeps free for a pod, and what it may use at most."""

    requests: Amounts = Field(
        Amounts(cpu="250m", memory="512Mi"), description="What is kept free for each pod."
    )
    limits: Amounts = Field(
        Amounts(cpu="1", memory="1Gi"),
        description="What a pod may use: more CPU is throttled, more memory ends the pod.",
    )

    @model_validator(mode="after")
    def _limits_hold_requests(self) -> Self:
        for name in ("cpu", "memory"):
            least, most = getattr(self.requests, name), getattr(self.limits, name)
            if amount(most) < amount(least):
                raise ValueError(f"limits.{name} {most} is below requests.{name} {least}")
            if amount(least) == 0:
                raise ValueError(f"requests.{name} is 0")
        return self


class Canary(Section):
    """How a new version is compared with the running one before it replaces it in production."""

    share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Share of the pods, and so of the requests; rounded to whole pods, at least "
        "one.",
    )
    duration_seconds: float = Field(120.0, gt=0, description="How long both are compared.")
    min_requests: int = Field(
        500, ge=1, description="Requests that each of the two needs; fewer are inconclusive."
    )
    max_error_rate_increase: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="How much higher the canary's share of answers other than 200 may be.",
    )
    max_latency_ratio: float = Field(
        1.5, gt=1, description="Highest latency of the canary as a multiple of the stable pods'."
    )
    when_inconclusive: Literal["stop", "go"] = Field(
        "stop", description="After too few requests: stop removes the canary, go continues."
    )
    load_per_second: float = Field(
        10.0,
        ge=0,
        description="Golden requests a second that are replayed to each of the two; 0 for none.",
    )
    bake_seconds: float = Field(
        30.0, ge=0, description="How long the Deployment is watched after the rollout."
    )


class Kubernetes(Section):
    """The model on Kubernetes."""

    replicas: Environments = Field(
        Environments(), description="Number of pods in each environment."
    )
    target_cpu_percent: int = Field(
        70,
        ge=1,
        le=1000,
        description="CPU use, in percent of the requested CPU, above which pods are added.",
    )
    resources: Resources = Field(Resources(), description="CPU and memory of one pod.")
    start_seconds: int = Field(300, ge=1, description="How long the model may take to load.")
    host: str | None = Field(
        None,
        max_length=253,
        pattern=rf"^{LABEL}(\.{LABEL})*$",
        description="Public host name of production; without it there is no Ingress.",
    )
    components: tuple[Annotated[str, Field(pattern=rf"^{LABEL}$")], ...] = Field(
        (), description="Folders of k8s/components that apply to this model, such as gpu."
    )
    canary: Canary = Field(Canary(), description="The comparison before production.")
