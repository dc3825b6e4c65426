"""The context folder that the server starts from: which release it is, where the model lies."""

import json
from dataclasses import dataclass
from pathlib import Path

from serving.errors import WrongUsageError

IDENTITY = ("model", "version", "digest", "release")
"""The fields that say what is served; `model_release.identity` has them too."""


@dataclass(frozen=True)
class ServedRelease:
    """What `release.json` says is served here.

    Attributes:
        model: registered model name.
        version: its version.
        digest: `sha256:…` over the model's files.
        release: id of the release (an MLflow run).
        batching: whether requests of different callers may be merged.
    """

    model: str
    version: str
    digest: str
    release: str
    batching: bool

    @property
    def title(self) -> str:
        """Name and version, as messages give them."""
        return f"model {self.model} version {self.version}"

    @property
    def identity(self) -> dict[str, str]:
        """What is served, under the names that callers and metrics are given."""
        return {"name" if key == "model" else key: getattr(self, key) for key in IDENTITY}

    def answer(self) -> bytes:
        """The body of `GET /model`."""
        return json.dumps(self.identity).encode()


def read_release(context: Path) -> ServedRelease:
    """Read `<context>/release.json`.

    Raises:
        WrongUsageError: it is missing, not JSON, or lacks a field of the right type.
    """
    path = context / "release.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(str(error)) from error
    if not isinstance(fields, dict):
        raise _unusable(f"a JSON {type(fields).__name__}")
    wrong = [name for name in IDENTITY if not isinstance(fields.get(name), str)]
    if not isinstance(fields.get("batching"), bool):
        wrong.append("batching")
    if wrong:
        raise _unusable(f"missing or of another type: {', '.join(wrong)}")
    return ServedRelease(**{name: fields[name] for name in (*IDENTITY, "batching")})


def model_folder(context: Path) -> Path:
    """The MLflow model in `context`; it must have an `MLmodel` file."""
    folder = context / "model"
    if not (folder / "MLmodel").is_file():
        raise WrongUsageError(
            "the context's folder model/",
            expected="an MLflow model with a file MLmodel",
            found="none",
            next_step="build the context again with scripts/build_image.py",
        )
    return folder


def _unusable(found: str) -> WrongUsageError:
    return WrongUsageError(
        "the context's file release.json",
        expected="JSON with model, version, digest, release (strings) and batching (true or false)",
        found=found,
        next_step="start in a context folder, or name it with --context",
    )
