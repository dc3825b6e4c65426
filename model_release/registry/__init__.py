"""The registry: versions, files, tags, aliases; with `runs`, all that talks to MLflow."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_release.errors import UsageError
from model_release.registry.claims import COPIED, LOGGED_MODEL, Claimed, claimed, latest
from model_release.registry.runs import Runs

if TYPE_CHECKING:
    from mlflow.entities import Metric

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)
ALIAS = re.compile(r"[A-Za-z0-9_-]{1,255}")
CHECK_NAME = "check --model-name (MODEL= of make)"


@dataclass(frozen=True)
class ModelVersion:
    """A model version as the registry has it now."""

    name: str
    version: str
    status: str
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    source: str


def check_name(name: str) -> str:
    """Return a model's name if it is made of letters, digits, dots, underscores and hyphens.

    Raises:
        UsageError: the name has other characters; nothing else has been touched then.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"model name {name!r}",
            expected="1 to 200 letters, digits, '.', '_' or '-', a letter or digit first and last",
            next_step="register the model under such a name",
        )
    return name


def check_version(version: str) -> str:
    """Return a version number if it is a positive whole number, or raise UsageError."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise UsageError(
            f"model version {version!r}",
            expected="a positive whole number such as 3",
            next_step="give the number that the registry shows",
        )
    return version


def check_alias(alias: str) -> str:
    """Return an alias if MLflow takes it, or raise UsageError."""
    if not ALIAS.fullmatch(alias) or RESERVED.fullmatch(alias):
        raise UsageError(
            f"alias {alias!r}",
            expected="letters, digits, '_' or '-'; not `latest` or `v1`, which MLflow reserves",
            next_step="choose another alias",
        )
    return alias


class Registry(Runs):
    """Model versions, their files, tags and aliases; runs as in `Runs`.

    Every method raises OutsideError when the registry cannot be reached or fails.
    """

    def version(self, name: str, version: str | None = None) -> ModelVersion:
        """Look a version up; the newest one when `version` is None.

        Raises:
            UsageError: there is no such model or version.
        """
        number = check_version(version) if version else self.newest(check_name(name))
        with self._faults(
            f"model version {check_name(name)} {number}",
            expected="a version that is registered",
            next_step=f"choose one of the versions of {name} in the registry",
        ):
            found = self._client.get_model_version(name, number)
        return ModelVersion(
            name=name,
            version=str(found.version),
            status=str(found.status),
            run_id=found.run_id or "",
            tags=dict(found.tags or {}),
            aliases=tuple(found.aliases or ()),
            source=str(found.source or ""),
        )

    def newest(self, name: str) -> str:
        """The number of the newest version of a model.

        Raises:
            UsageError: the registry has no such model, or it has no version.
        """
        found = self._newest(name)
        if not found:
            raise UsageError(
                f"model {name!r}",
                expected="a registered model with at least one version",
                next_step=f"register a version, or {CHECK_NAME} and MLFLOW_TRACKING_URI",
            )
        return found

    def has_versions(self, name: str) -> bool:
        """Whether the registry has any version of a model."""
        return bool(self._newest(name))

    def _newest(self, name: str) -> str:
        with self._faults(""):
            found = self._client.search_model_versions(
                f"name='{check_name(name)}'", max_results=1, order_by=["version_number DESC"]
            )
        return str(found[0].version) if found else ""

    def download(self, name: str, version: str, folder: Path) -> None:
        """Copy the version's files into an empty `folder`.

        Raises:
            UsageError: the version has no files.
        """
        import mlflow

        with self._faults(
            f"files of {name} {version}",
            expected="an MLflow model in the artifact store",
            next_step="register the version again from a run that logged its model",
        ):
            uri = f"models:/{name}/{version}"
            self._client.call(
                lambda: mlflow.artifacts.download_artifacts(uri, dst_path=str(folder))
            )
        if not (folder / "MLmodel").is_file():
            raise UsageError(
                f"files of {name} {version}",
                expected="an MLflow model with an MLmodel file",
                found=f"{sum(path.is_file() for path in folder.rglob('*'))} files and no MLmodel",
                next_step="register the version again from a run that logged its model",
            )

    def claims(self, version: ModelVersion) -> Claimed:
        """The metrics that were logged for a version's model.

        Raises:
            UsageError: its logged model or its run is gone.
        """
        while copied := COPIED.fullmatch(version.source):
            version = self.version(*copied.groups())
        logged = LOGGED_MODEL.fullmatch(version.source)
        model_id, run_id, own = logged[1] if logged else "", version.run_id, {}
        if model_id:
            absent = {"expected": "a logged model", "next_step": "register the version again"}
            with self._faults(f"logged model {model_id}", **absent):
                model = self._client.get_logged_model(model_id)
            run_id, metrics = model.source_run_id, latest(model.metrics or ())
            own = {name: self._value(metric) for name, metric in metrics.items()}
        run = None
        if run_id:
            absent = {"expected": "a run", "next_step": "restore the run"}
            with self._faults(f"training run {run_id}", **absent):
                run = self._client.get_run(run_id)
        return claimed(own, run, model_id, version.source)

    def _value(self, metric: "Metric") -> float:
        """The value of a logged model's metric: MLflow keeps NaN as 0.0 there, not on the run."""
        if metric.value:
            return float(metric.value)
        with self._faults(""):
            history = self._client.get_metric_history(metric.run_id, metric.key)
        at = (metric.step, metric.timestamp)
        values = [each.value for each in history if (each.step, each.timestamp) == at]
        return math.nan if not values or any(map(math.isnan, values)) else 0.0

    def tag_version(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a model version."""
        with self._faults(""):
            for key, value in tags.items():
                self._client.set_model_version_tag(name, version, key, value)

    def register(
        self, name: str, model_id: str, run_id: str, description: str, tags: Mapping[str, str]
    ) -> str:
        """Make a logged model a version, or find the version that it is; return its number.

        A lost answer is not tried again, because the version would be made twice: run again, and
        it is found.
        """
        source = f"models:/{model_id}"
        if not self.has_model(name):
            with self._faults(""):
                self._client.create_registered_model(name)
        with self._faults(""):
            for found in self._client.search_model_versions(f"name='{name}'"):
                if found.source == source:
                    return str(found.version)
            made = self._client.once.create_model_version(
                name, source, run_id, tags=dict(tags), description=description, model_id=model_id
            )
        return str(made.version)

    def has_model(self, name: str) -> bool:
        """Whether the registry has a model of that name, with or without versions."""
        with self._faults(""):
            return bool(self._client.search_registered_models(f"name='{check_name(name)}'"))

    def aliases(self, name: str) -> dict[str, str]:
        """Every alias of a model and the version number it points to.

        Raises:
            UsageError: no such model.
        """
        with self._faults(f"model {name!r}", expected="a registered model", next_step=CHECK_NAME):
            found = self._client.get_registered_model(check_name(name)).aliases
        return {str(alias): str(version) for alias, version in found.items()}

    def alias(self, name: str, alias: str) -> str | None:
        """The version number that an alias of a model points to, or None."""
        return self.aliases(name).get(alias)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias of a model to a version. MLflow has no compare-and-set: read it back.

        Raises:
            UsageError: there is no such version.
        """
        with self._faults(
            f"model version {name} {version}",
            expected="a version that is registered",
            next_step="choose another version",
        ):
            self._client.set_registered_model_alias(name, alias, version)
