"""The only module that talks to MLflow: versions, files, tags, aliases, and releases' runs.

MLflow takes over a second to import, so it is imported when a registry is opened, not before.
"""

import errno
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_release.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from mlflow.entities import Run

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class ModelVersion:
    """A model version as the registry has it now."""

    name: str
    version: str
    status: str
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]


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
            next_step="look the number up in the registry",
        )
    return version


class Registry:
    """An MLflow tracking server and registry, or a database URI of one.

    Args:
        uri: MLflow's tracking URI.
        artifacts: where the files of new experiments go; None leaves that to the server.

    Every method raises OutsideError when the registry cannot be reached or fails.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        for name, value in MLFLOW_DEFAULTS.items():
            os.environ.setdefault(name, value)
        import mlflow

        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        self.uri = uri
        self.place = re.sub(r"//[^/@]*@", "//", uri)
        self.artifacts = artifacts
        with self._faults(""):
            self._client = mlflow.MlflowClient(uri, uri)

    @contextmanager
    def _faults(self, what: str, expected: str = "", next_step: str = "") -> Iterator[None]:
        """Turn MLflow's exceptions into ours; what is absent, if `what` names it, is UsageError."""
        import requests
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except MlflowException as error:
            if what and error.error_code in ABSENT:
                raise UsageError(what, expected=expected, next_step=next_step) from error
            raise self._failed(error) from error
        except (requests.RequestException, SQLAlchemyError) as error:
            raise self._failed(error) from error
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise OutsideError(
                "disk full" if full else "files of the registry",
                found=str(error),
                next_step="free space and run the same command again"
                if full
                else "see that the artifact store can be reached, then run the same command again",
            ) from error

    def _failed(self, error: Exception) -> OutsideError:
        cause = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return OutsideError(
            f"MLflow at {self.place}",
            expected="an answer",
            found=re.sub(r"//[^/@\s]*@", "//", cause),
            next_step="see that the server is up and MLFLOW_TRACKING_URI is right, then run the "
            "same command again",
        )

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
                next_step="register a version, or check MODEL= and MLFLOW_TRACKING_URI",
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
            mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=str(folder))
        if not (folder / "MLmodel").is_file():
            raise UsageError(
                f"files of {name} {version}",
                expected="an MLflow model with an MLmodel file",
                found=f"{sum(path.is_file() for path in folder.rglob('*'))} files and no MLmodel",
                next_step="register the version again from a run that logged its model",
            )

    def fetch(self, uri: str, folder: Path) -> Path:
        """Copy an artifact, such as `runs:/<id>/data.parquet`, into `folder`; return its path."""
        import mlflow

        with self._faults(uri, expected="an artifact", next_step="check the URI"):
            return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))

    def claims(self, run_id: str) -> dict[str, float]:
        """The metrics that a training run logged; none for a version without a run."""
        if not run_id:
            return {}
        with self._faults(f"training run {run_id}", expected="a run", next_step="restore the run"):
            return dict(self._client.get_run(run_id).data.metrics)

    def tag_version(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a model version."""
        with self._faults(""):
            for key, value in tags.items():
                self._client.set_model_version_tag(name, version, key, value)

    def alias(self, name: str, alias: str) -> str | None:
        """The version number that an alias of a model points to, or None."""
        with self._faults(
            f"model {name!r}", expected="a registered model", next_step="check MODEL="
        ):
            aliases = self._client.get_registered_model(check_name(name)).aliases
        return str(aliases[alias]) if alias in aliases else None

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias of a model to a version. MLflow has no compare-and-set: read it back."""
        with self._faults(""):
            self._client.set_registered_model_alias(name, alias, version)

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """Start a run in an experiment, which is made if it is new; return the run's id."""
        with self._faults(""):
            found = self._client.get_experiment_by_name(experiment)
            place = (self.artifacts / experiment).as_uri() if self.artifacts else None
            number = (
                found.experiment_id
                if found
                else self._client.create_experiment(experiment, artifact_location=place)
            )
            run = self._client.create_run(number, run_name=name, tags=dict(tags))
        return str(run.info.run_id)

    def run_tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run."""
        with self._faults(f"run {run_id}", expected="a run of this registry", next_step="check it"):
            return dict(self._client.get_run(run_id).data.tags)

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list[str]:
        """Ids of the runs of an experiment that carry all these tags, newest first."""
        with self._faults(""):
            found = self._client.get_experiment_by_name(experiment)
            if not found:
                return []
            wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
            runs: list[Run] = self._client.search_runs(
                [found.experiment_id], wanted, order_by=["attributes.start_time DESC"]
            )
        return [run.info.run_id for run in runs]

    def write_run(
        self,
        run_id: str,
        *,
        evidence: tuple[Path, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        status: str | None = None,
    ) -> None:
        """Add to a run, in order: evidence (folder, artifact path), metrics and tags, status."""
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        values = [Metric(key, value, now, 0) for key, value in (metrics or {}).items()]
        pairs = [RunTag(key, value) for key, value in (tags or {}).items()]
        with self._faults(""):
            if evidence:
                self._client.log_artifacts(run_id, str(evidence[0]), evidence[1])
            if values or pairs:
                self._client.log_batch(run_id, metrics=values, tags=pairs)
            if status:
                self._client.set_terminated(run_id, status)

    def read_run_file(self, run_id: str, path: str) -> bytes:
        """The content of one artifact of a run."""
        with tempfile.TemporaryDirectory() as folder:
            return self.fetch(f"runs:/{run_id}/{path}", Path(folder)).read_bytes()

    def experiments(self, prefix: str) -> list[str]:
        """Names of the experiments that begin with `prefix`."""
        with self._faults(""):
            found = self._client.search_experiments(filter_string=f"name LIKE '{prefix}%'")
        return sorted(experiment.name for experiment in found)
