"""Collects what the gates judge: starts the models in their own environments and asks them."""

import importlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from model_release import ROOT
from model_release.config import ModelConfig
from model_release.digest import model_files
from model_release.errors import UsageError
from model_release.gates.evidence import (
    Claims,
    Environment,
    Files,
    Golden,
    Load,
    Rows,
    Scores,
    Serialization,
    Signatures,
    Timing,
)
from model_release.measurement import code_files
from model_release.measurement.golden_cases import ask_golden
from model_release.measurement.holdout import FetchArtifact, HoldoutData, open_holdout
from model_release.measurement.mlmodel import read_signature
from model_release.measurement.rows import row_differences, spread
from model_release.measurement.scoring import score_holdout
from model_release.measurement.subject import MeasuredModel, Subject
from model_release.measurement.timing import Timed, time_rows
from model_release.model_process.client import ModelError
from model_release.model_process.frames import Array
from model_release.processes import environments, logged_with, sandbox
from model_release.processes.environments import Lock
from model_release.processes.requirements import LockError

ANSWER_SECONDS = 600.0
"""How long a model may take for one batch of the holdout, or for all rows that are timed."""

SEE_GATE = "read what the gate `environment` found"

Evidence = TypeVar("Evidence")


class Collector:
    """Evidence about a challenger, and its champion, collected when it is asked for and only once.

    The order matters: no file of the model is loaded before `Load` or something behind it is asked
    for, so the gates before it can refuse. What a model does wrong becomes the evidence's
    `problem`. Holds processes: use it in a `with` block and in one thread.

    Args:
        challenger: the version to be released.
        champion: what it is compared with, if there is one.
        config: `models/<name>.yaml`.
        home: the state folder, for locks, environments, holdouts and temporary files.
        serving_requirements: what the server needs beside the model's own requirements.
        fetch_artifact: copies a `runs:/…` artifact into a folder.
        root: what relative holdout paths are relative to.
        answer_seconds: how long a model may take for one command.
    """

    def __init__(
        self,
        challenger: MeasuredModel,
        champion: MeasuredModel | None,
        config: ModelConfig,
        *,
        home: Path,
        serving_requirements: Path,
        fetch_artifact: FetchArtifact,
        root: Path = ROOT,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        folder = home / "tmp"
        self._challenger = Subject(challenger, folder, answer_seconds)
        self._champion = Subject(champion, folder, answer_seconds) if champion else None
        self._subjects = [self._challenger, *([self._champion] if self._champion else [])]
        self._config = config
        self._home = home
        self._serving_requirements = serving_requirements
        self._fetch_artifact = fetch_artifact
        self._root = root
        self._evidence: dict[type, Any] = {}
        self._lock: Lock | None = None
        self._python: Path | None = None
        self._collectors: dict[type, Callable[[], Any]] = {
            Files: self._files,
            Environment: self._environment,
            Serialization: lambda: code_files.scan(self._challenger.model.path),
            Load: self._load,
            Signatures: self._signatures,
            Claims: lambda: challenger.claims,
            Scores: self._scores,
            Timing: self._timing,
            Rows: self._rows,
            Golden: self._golden,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for subject in self._subjects:
            subject.close()

    def collect(self, kind: type[Evidence]) -> Evidence:
        """The evidence of one kind, a class of `model_release.gates.evidence`.

        Raises:
            UsageError: the holdout cannot be used, or no such evidence is known.
            OutsideError: the holdout's store or uv cannot be reached.
        """
        if kind not in self._evidence:
            if kind not in self._collectors:
                raise UsageError(
                    f"evidence {kind.__name__}",
                    expected=", ".join(known.__name__ for known in self._collectors),
                    next_step="set EVIDENCE of the gate to one of these",
                )
            self._evidence[kind] = self._collectors[kind]()
        evidence: Evidence = self._evidence[kind]
        return evidence

    @property
    def environment_lock(self) -> Path:
        """The lock that the challenger was measured with.

        Raises:
            LockError: there is none.
        """
        self.collect(Environment)
        if self._lock is None:
            raise LockError("the model's requirements are not locked", next_step=SEE_GATE)
        return self._lock.path

    @property
    def python(self) -> Path:
        """The interpreter of the environment that the challenger was measured in.

        Raises:
            LockError: there is none.
        """
        self.collect(Environment)
        if self._python is None:
            raise LockError("the model has no environment", next_step=SEE_GATE)
        return self._python

    def _files(self) -> Files:
        known = self._challenger.model
        sizes = [path.stat().st_size for path in model_files(known.path)]
        identity = (known.name, known.version, known.status, known.digest, known.recorded)
        return Files(*identity, count=len(sizes), size_bytes=sum(sizes))

    def _environment(self) -> Environment:
        """Lock and install; then start both processes, which import mlflow and load nothing yet."""
        limits = self._config.gates.environment
        logged, started = "", time.monotonic()
        try:
            logged = logged_with.python_version(self._challenger.model.path)
            unprotected = sandbox.missing()
            refused = unprotected and limits.confinement == "required"
            if refused or not f"{logged}.".startswith(f"{limits.python}."):
                return Environment(logged, limits.python, unprotected=unprotected)
            try:
                lock = self._start_challenger(skinny=True)
            except LockError:
                lock = self._start_challenger(skinny=False)
        except LockError as error:
            return Environment(logged, limits.python, problem=str(error))
        self._start_champion()
        seconds = time.monotonic() - started
        measured = (lock.packages, lock.sha256, seconds)
        return Environment(logged, limits.python, *measured, unprotected=unprotected)

    def _start_challenger(self, *, skinny: bool) -> Lock:
        """Lock, install, and start its process, which imports mlflow."""
        lock = self._locked(self._challenger.model, skinny=skinny)
        seconds = self._config.gates.environment.timeout_seconds
        python = environments.install(lock.path, lock.python, self._home, seconds)
        self._lock, self._python = lock, python
        self._challenger.close()
        self._challenger.start(python)
        return lock

    def _locked(self, model: MeasuredModel, *, skinny: bool = False) -> Lock:
        limits, needed = self._config.gates.environment, self._serving_requirements
        return environments.lock(model.path, needed, limits, self._home, skinny=skinny)

    def _start_champion(self) -> None:
        """Start the champion in the environment of its own release, where it is to be scored."""
        if self._champion is None or not self._config.metrics:
            return
        model = self._champion.model
        try:
            path = model.lock or self._locked(model).path
            python = logged_with.python_minor(model.path)
            self._champion.start(environments.install(path, python, self._home))
        except LockError as error:
            self._champion.problem = str(error)

    def _load(self) -> Load:
        """Load both models at the same time."""
        self.collect(Environment)
        seconds = self._config.gates.loadable.max_seconds
        if self._config.metrics:  # takes a second, which the models need as well to start
            importlib.import_module("sklearn.metrics")
        for subject in self._subjects:
            subject.started()
        for subject in self._subjects:
            subject.load()
        challenger, *_ = [subject.loaded(seconds) for subject in self._subjects]
        if self._lock is None or not self._lock.skinny or not self._challenger.may_lack_a_module():
            return challenger
        try:
            self._start_challenger(skinny=False)
        except LockError as error:
            return Load(problem=str(error))
        self._challenger.started()
        self._challenger.load()
        return self._challenger.loaded(seconds)

    def _signatures(self) -> Signatures:
        challenger, *champion = [
            read_signature(subject.model.path, subject.model.version) for subject in self._subjects
        ]
        return Signatures(challenger, champion[0] if champion else None)

    def _scores(self) -> Scores:
        self.collect(Load)
        if self._holdout is None:
            return Scores(problem="there is no holdout to score it on")
        scores = score_holdout(self._holdout, self._config, self._challenger, self._champion)
        version = self._champion.model.version if self._champion else None
        return replace(scores, champion_version=version)

    @cached_property
    def _holdout(self) -> HoldoutData | None:
        spec, slices = self._config.holdout, self._config.gates.slices
        if spec is None:
            return None
        columns, cache = () if slices.skip else slices.columns, self._home / "holdouts"
        return open_holdout(spec, self._root, self._fetch_artifact, cache, columns)

    @property
    def _columns(self) -> tuple[str, ...]:
        return self._holdout.columns if self._holdout else ()

    @cached_property
    def _sample(self) -> tuple[Array, ...]:
        """Features of the rows that are asked for one by one; none without a holdout."""
        if self._holdout is None:
            return ()
        gates = self._config.gates
        rows = max(gates.latency.requests, gates.row_independence.rows, gates.golden.rows)
        batches = self._holdout.batches()
        features = next(batches).features
        return tuple(spread(features, rows))

    @cached_property
    def _timed(self) -> Timed:
        self.collect(Load)
        gates = self._config.gates
        return time_rows(
            self._challenger,
            self._columns,
            self._sample,
            single=max(gates.latency.requests, gates.row_independence.rows),
            batch_rows=gates.latency.batch_rows,
        )

    def _timing(self) -> Timing:
        rows, size = self._config.gates.latency.batch_rows, self.collect(Files).size_bytes
        try:
            timed = self._timed
        except ModelError as error:
            return Timing((), (), rows, size, problem=str(error))
        return Timing(timed.single_ms, timed.batch_ms, rows, size)

    def _rows(self) -> Rows:
        limits = self._config.gates.row_independence
        try:
            timed = self._timed
        except ModelError as error:
            return Rows((), problem=str(error))
        alone, together = timed.alone[: limits.rows], timed.together[: limits.rows]
        return Rows(row_differences(alone, together, rtol=limits.rtol, atol=limits.atol))

    def _golden(self) -> Golden:
        self.collect(Load)
        rows = spread(self._sample, self._config.gates.golden.rows)
        return ask_golden(self._challenger, self._columns, rows)
