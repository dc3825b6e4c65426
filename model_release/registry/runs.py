"""Runs of MLflow: what releases and their ledgers are kept in."""

import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_release import commands
from model_release.errors import UsageError
from model_release.registry.connection import Connection

if TYPE_CHECKING:
    from mlflow.entities import Run

CREATED = "release.created"
"""Tag that tells a run from one that the same call made when its first answer was lost."""


UNKNOWN_RUN = {
    "expected": "a run of this registry",
    "next_step": f"copy its id from {commands.history('NAME')}, or from MLflow's page of it",
}


@dataclass(frozen=True)
class RunRecord:
    """What a run says, as it is at one moment, and the name of the experiment it lies in."""

    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    experiment: str


class Runs(Connection):
    """Experiments and runs: made, written to, found."""

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        super().__init__(uri, artifacts)
        self._files: dict[tuple[str, str], bytes] = {}
        self._experiments: dict[str, str] = {}

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """Start a run in an experiment, which is made if it is new; return the run's id."""
        number = self.experiment(experiment) or self.create_experiment(experiment, {})
        token = uuid.uuid4().hex
        with self._faults(""):
            run = self._client.create_run(number, run_name=name, tags={**tags, CREATED: token})
            if self._client.attempts == 1:
                return str(run.info.run_id)
        first, *others = reversed(self.find_runs(experiment, {CREATED: token}))
        for each in others:
            self.delete_run(each)
        return first

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        with self._faults(""):
            self._client.delete_run(run_id)

    def experiment(self, name: str) -> str:
        """The id of an experiment, or "" where there is none."""
        with self._faults(""):
            found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id) if found else ""

    def create_experiment(self, name: str, tags: Mapping[str, str]) -> str:
        """Make an experiment with tags, or find it made by another; return its id.

        Its name is unique in MLflow's database: of several at once, one makes it, with its tags.
        """
        from mlflow.exceptions import MlflowException

        place = (self.artifacts / name).as_uri() if self.artifacts else None
        with self._faults(""):
            try:
                made = self._client.create_experiment(
                    name, artifact_location=place, tags=dict(tags)
                )
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return self.experiment(name)
        return str(made)

    def experiment_tags(self, name: str) -> dict[str, str] | None:
        """The tags of an experiment; None where there is no such experiment."""
        with self._faults(""):
            found = self._client.get_experiment_by_name(name)
        return dict(found.tags) if found else None

    def run_parameters(self, run_id: str) -> dict[str, str]:
        """The parameters of a run."""
        return dict(self.run_record(run_id).parameters)

    def write_once(self, run_id: str, key: str, value: str) -> bool:
        """Set a parameter of a run, which MLflow never changes; whether it holds `value` now.

        The database's primary key decides between several at once. The same value again is the
        same parameter, so a write whose answer was lost may be repeated.
        """
        from mlflow.exceptions import MlflowException

        with self._faults(""):
            try:
                self._client.log_param(run_id, key, value)
            except MlflowException as error:
                found = self.run_parameters(run_id).get(key)
                if found is None or error.error_code != "INVALID_PARAMETER_VALUE":
                    raise
                return found == value
        return True

    def run_tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run."""
        return dict(self.run_record(run_id).tags)

    def run_record(self, run_id: str) -> RunRecord:
        """The tags, the parameters and the place of a run."""
        with self._faults(f"run {run_id}", **UNKNOWN_RUN):
            run = self._client.get_run(run_id)
            number = run.info.experiment_id
            if number not in self._experiments:
                self._experiments[number] = self._client.get_experiment(number).name
        return RunRecord(dict(run.data.tags), dict(run.data.params), self._experiments[number])

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
        parameters: Mapping[str, str] | None = None,
        status: str | None = None,
    ) -> None:
        """Add to a run, in order: evidence (folder, artifact path), what is set at once, status.

        A parameter that has another value already fails, and with it the metrics and tags.
        """
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        values = [Metric(key, value, now, 0) for key, value in (metrics or {}).items()]
        pairs = [RunTag(key, value) for key, value in (tags or {}).items()]
        once = [Param(key, value) for key, value in (parameters or {}).items()]
        with self._faults(""):
            if evidence:
                folder, place = evidence
                self._client.log_artifacts(run_id, str(folder), place)
                for path in folder.iterdir():
                    self._files[run_id, f"{place}/{path.name}"] = path.read_bytes()
            if values or pairs:
                self._client.log_batch(run_id, metrics=values, params=once, tags=pairs)
            if status:
                self._client.set_terminated(run_id, status)

    def fetch(self, uri: str, folder: Path) -> Path:
        """Copy an artifact, such as `runs:/<id>/data.parquet`, into `folder`; return its path."""
        import mlflow

        with self._faults(uri, expected="an artifact", next_step="check the URI"):
            download = mlflow.artifacts.download_artifacts
            return Path(self._client.call(lambda: download(uri, dst_path=str(folder))))

    def read_run_file(self, run_id: str, path: str) -> bytes:
        """The content of one artifact of a run, fetched once: stations do not change evidence."""
        if (run_id, path) not in self._files:
            with tempfile.TemporaryDirectory() as folder:
                found = self.fetch(f"runs:/{run_id}/{path}", Path(folder))
                self._files[run_id, path] = found.read_bytes()
        return self._files[run_id, path]

    def experiments(self, prefix: str) -> list[str]:
        """Names of the experiments that begin with `prefix`."""
        with self._faults(""):
            found = self._client.search_experiments(filter_string=f"name LIKE '{prefix}%'")
        return sorted(experiment.name for experiment in found)

    def search(
        self, experiments: Sequence[str], filter_string: str, order_by: Sequence[str], limit: int
    ) -> "list[Run]":
        """Runs of experiments by MLflow's own filter and order.

        Raises:
            UsageError: no such experiment, or a filter or order that MLflow does not take.
        """
        numbers = {name: self.experiment(name) for name in experiments}
        for name, number in numbers.items():
            if not number:
                raise UsageError(
                    f"experiment {name!r}",
                    expected="an experiment of this registry",
                    next_step="run `mlflow experiments search` and choose one of those",
                )
        with self._faults(
            f"filter {filter_string!r} or order {', '.join(order_by)!r}",
            expected="as MLflow's search_runs takes them",
            next_step="write it such as metrics.accuracy > 0.9 and params.depth = '3'",
        ):
            found: list[Run] = self._client.search_runs(
                list(numbers.values()), filter_string, order_by=list(order_by), max_results=limit
            )
        return found
