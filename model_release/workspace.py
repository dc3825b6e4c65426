"""The place where a command works: registry, state folder, configurations, progress shown."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from model_release import ROOT
from model_release.config import ModelConfig, load_config
from model_release.digest import model_digest
from model_release.errors import OutsideError, disk_full
from model_release.registry import ModelVersion, Registry
from model_release.report.progress import Progress


@dataclass(frozen=True)
class Workspace:
    """The surroundings of a station.

    Args:
        home: state folder; `.release/` of the checkout by default.
        models_dir: folder of `<model>.yaml`.
        tracking_uri: MLflow's; empty for the embedded one, SQLite in the state folder.
        progress: what the person at the terminal sees.
    """

    home: Path
    models_dir: Path
    tracking_uri: str = ""
    progress: Progress = field(default_factory=Progress)
    _configs: dict[str, ModelConfig] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def uri(self) -> str:
        """MLflow's tracking URI."""
        return self.tracking_uri or f"sqlite:///{self.home}/mlflow.db"

    @property
    def artifacts(self) -> Path | None:
        """Where a registry that is an SQLite file keeps files: beside it. None: a server's own."""
        database = self.uri.removeprefix("sqlite:///")
        return Path(database).parent / "artifacts" if database != self.uri else None

    @cached_property
    def registry(self) -> Registry:
        """The registry, opened at first use."""
        self.home.mkdir(parents=True, exist_ok=True)
        return Registry(self.uri, self.artifacts)

    @property
    def serving(self) -> Path:
        """The server's package, which becomes part of every build context."""
        return ROOT / "serving"

    def config(self, model: str) -> ModelConfig:
        """The model's configuration, read once: what a release is held to does not change in it."""
        if model not in self._configs:
            self._configs[model] = load_config(model, self.models_dir)
        return self._configs[model]

    def context(self, release_id: str) -> Path:
        """Where a release's build context is, once it was built here."""
        return self.home / "contexts" / release_id

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the same file system as everything else, gone afterwards."""
        place = self.home / "tmp"
        place.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=place))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def fetch_model(self, version: ModelVersion) -> tuple[Path, str]:
        """Copy a version's files from the registry; return their folder and model digest.

        The folder is named by the digest, so files that changed in the registry land beside the
        old ones, never over them.
        """
        with self.scratch() as folder:
            try:
                self.registry.download(version.name, version.version, folder)
            except OutsideError as error:
                # MLflow hides a full disk among what failed "while downloading".
                raise disk_full(error.__cause__) or error from error
            (folder / "registered_model_meta").unlink(missing_ok=True)
            digest = model_digest(folder)
            final = self.home / "models" / digest.removeprefix("sha256:")
            final.parent.mkdir(parents=True, exist_ok=True)
            if final.is_dir() and model_digest(final) != digest:
                shutil.rmtree(final)
            if not final.is_dir():
                folder.rename(final)
        return final, digest
