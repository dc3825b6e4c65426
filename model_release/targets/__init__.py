"""Where releases run: the interface of a target, and what is deployed to it and runs on it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from model_release.answers import Tolerances
from model_release.errors import UsageError
from model_release.identity import Identity
from model_release.report import Table
from model_release.report.progress import Tell
from model_release.smoke import Case

Verify = Callable[[str], object]
"""Takes the base URL of a server that no caller reaches yet; its ReleaseError stops the deploy."""


@dataclass(frozen=True)
class Deployment:
    """One release of a model version, ready to run.

    Args:
        identity: what its servers answer to `GET /model`.
        context: build context: release.json, model/, serving/; for a target that starts processes.
        python: interpreter of the environment made from the context's lock; for the same.
        image: reference by digest, `host/path@sha256:…`; for a target that starts containers.
        cases: golden cases, for a target that replays them while two versions serve.
        tolerances: for the numbers in their predictions.
        proven: whether it has served production before: a rollback, which waits for no canary.
    """

    identity: Identity
    context: Path | None = None
    python: Path | None = None
    image: str = ""
    cases: Sequence[Case] = ()
    tolerances: Tolerances = field(default_factory=Tolerances)
    proven: bool = False


@dataclass(frozen=True)
class Running:
    """What is deployed for a model in an environment, and what its servers answer to `GET /model`.

    `replicas` is 0 when they died. `measured` is what the deploy that made it so has measured, such
    as the canary's comparison.
    """

    environment: str
    identity: Identity
    url: str
    replicas: int
    since: datetime
    measured: Sequence[Table] = ()


@dataclass(frozen=True)
class Diff:
    """What a deploy would change; empty where nothing would change.

    Args:
        text: unified diff of the manifests.
        summary: the objects in it, and how many lines of each.
        added: what somebody added by hand and the deploy would take away, in words.
    """

    text: str = ""
    summary: str = "none"
    added: Sequence[str] = ()

    def __str__(self) -> str:
        return "; ".join([*([self.summary] if self.text else []), *self.added])


def unknown_environment(name: str, known: Iterable[str]) -> UsageError:
    """The error for an environment that a target has not."""
    return UsageError(
        f"environment {name!r}", expected=" or ".join(known), next_step="choose one of these"
    )


class Target(Protocol):
    """A place with environments ("staging", "production") that models are deployed to."""

    @property
    def name(self) -> str:
        """As it is chosen on the command line."""
        ...

    @property
    def protected(self) -> bool:
        """Whether production waits for an approval where a model's YAML does not say."""
        ...

    @property
    def runs_images(self) -> bool:
        """Whether it starts images, and not the build context."""
        ...

    def deploy(
        self, environment: str, deployment: Deployment, progress: Tell, verify: Verify
    ) -> Running:
        """Make `deployment` what serves its model in `environment`; nothing if it already does.

        `verify` is called with the new server's private address before a caller reaches it;
        a cluster's staging, which nobody depends on, is verified once it has been rolled over.
        Whatever goes wrong, callers are served by what ran before or by what runs now.
        """
        ...

    def manifest(self, environment: str, deployment: Deployment) -> str:
        """What `deploy` would apply, as YAML, without asking anybody; "" where nothing is."""
        ...

    def check(self, environment: str, model: str) -> str:
        """Check that a deploy of `model` is possible; say where it would go. Changes nothing.

        Raises:
            ReleaseError: something that a deploy needs is missing.
        """
        ...

    def diff(self, environment: str, deployment: Deployment) -> Diff:
        """What `deploy` would change, which the target would admit; changes nothing."""
        ...

    def faults(self, environment: str, deployment: Deployment) -> Sequence[str]:
        """What is wrong with the servers of `deployment`: not ready, or another release."""
        ...

    def running(self, environment: str | None = None) -> list[Running]:
        """What is deployed in one environment, or in all."""
        ...

    def find(self, environment: str, model: str) -> Running | None:
        """What is deployed of one model; None where nothing is."""
        ...

    def reach(self, environment: str, model: str) -> AbstractContextManager[str]:
        """A base URL at which this machine reaches the server, valid while the block runs."""
        ...

    def stop(self, environment: str | None = None) -> list[Running]:
        """Stop what is deployed there and return it; `None` stands for all."""
        ...
