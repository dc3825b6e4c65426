"""Where releases run: the interface of a target, and what is deployed to it and runs on it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from model_release.smoke import Identity

Progress = Callable[[str], None]
"""Takes one line about what happens now."""

Verify = Callable[[str], None]
"""Takes the base URL of a server that no caller reaches yet; its ReleaseError stops the deploy."""


@dataclass(frozen=True)
class Deployment:
    """One release of a model version, ready to run.

    Args:
        model: name of the registered model.
        version: number of the model version.
        digest: model digest, `sha256:…`.
        release: id of the release.
        context: build context: release.json, model/, serving/.
        python: interpreter of the environment made from the context's lock.
    """

    model: str
    version: str
    digest: str
    release: str
    context: Path
    python: Path

    @property
    def identity(self) -> Identity:
        """What a server of this deployment answers to `GET /model`."""
        return Identity(self.model, self.version, self.digest, self.release)


@dataclass(frozen=True)
class Running:
    """What is deployed for a model in an environment. `replicas` is 0 when its servers died."""

    environment: str
    model: str
    version: str
    digest: str
    release: str
    url: str
    replicas: int
    since: datetime

    @property
    def identity(self) -> Identity:
        """What its servers answer to `GET /model`."""
        return Identity(self.model, self.version, self.digest, self.release)


class Target(Protocol):
    """A place with environments ("staging", "production") that models are deployed to.

    `protected` says whether production needs an approval where a model's YAML does not say.
    """

    name: str
    protected: bool

    def deploy(
        self, environment: str, deployment: Deployment, progress: Progress, verify: Verify
    ) -> Running:
        """Make `deployment` what serves its model in `environment`; nothing if it already does.

        `verify` is called with the new server's private address before a caller reaches it.
        Whatever goes wrong, callers are served by what ran before or by what runs now.
        """
        ...

    def running(self, environment: str | None = None) -> list[Running]:
        """What is deployed in one environment, or in all."""
        ...

    def stop(self, environment: str | None = None, model: str | None = None) -> list[Running]:
        """End what is deployed there, and say what it was; `None` stands for all."""
        ...
