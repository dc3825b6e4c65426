"""The configuration of a model, `models/<name>.yaml`: read, checked and named by a digest."""

import difflib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import yaml
from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from model_release.config.kubernetes_settings import Kubernetes
from model_release.config.section import Section
from model_release.errors import UsageError
from model_release.gates import gates
from model_release.gates.evidence import Scores
from model_release.metrics import METRICS, Task

DEFAULT = "default"


class Holdout(Section):
    """The pinned data on which the model is measured."""

    uri: str = Field(
        min_length=1,
        description="Path relative to the checkout, `s3://bucket/key`, or `runs:/<run id>/<path>`.",
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file (sha256sum), quoted."
    )
    target: str = Field(min_length=1, description="Column that holds the truth.")
    task: Task = Field(description="What the model answers: labels or numbers.")
    format: Literal["parquet", "csv"] | None = Field(
        None,
        description="Needed only if the suffix of `uri` does not say it.",
        validate_default=True,
    )
    drop: tuple[str, ...] = Field((), description="Columns that the model is not shown.")
    batch_rows: int = Field(65_536, ge=1, description="Rows that are read and predicted at once.")

    @field_validator("uri")
    @classmethod
    def _is_reachable(cls, uri: str) -> str:
        if "://" in uri and not uri.startswith("s3://"):
            raise ValueError(
                f"{uri!r} cannot be read: give a path, s3://bucket/key or runs:/id/path"
            )
        return uri

    @model_validator(mode="before")
    @classmethod
    def _format_by_suffix(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("format") is None:
            suffix = Path(str(data.get("uri", ""))).suffix.lower()
            known = {".parquet": "parquet", ".csv": "csv"}.get(suffix)
            return {**data, "format": known} if known else data
        return data

    @model_validator(mode="after")
    def _has_format(self) -> Self:
        if self.format is None:
            raise ValueError(
                "the suffix of uri does not say the format: add format: parquet or format: csv"
            )
        if self.target in self.drop:
            raise ValueError(
                f"target {self.target!r} is never shown to the model: remove it from drop"
            )
        return self


class Production(Section):
    """How production is guarded."""

    protected: bool | None = Field(
        None,
        description="Whether production waits for an approval; if not set, the target decides.",
    )
    separate_people: bool = Field(
        False,
        description="Whether approver, dispatcher and trainer have to be three people; on GitHub.",
    )
    trainers: tuple[str, ...] = Field(
        (),
        description="GitHub logins of all who may train this model. With separate_people none of "
        "them approves or dispatches, whomever the version names as its trainer.",
    )


class Local(Section):
    """Ports of the local target."""

    staging_port: int = Field(8181, ge=1, le=65_535, description="Port of staging.")
    production_port: int = Field(8180, ge=1, le=65_535, description="Port of production.")


def _gates_section() -> type[BaseModel]:
    """A section with one field a gate, of the gate's Limits; a gate left out has its defaults."""
    fields: dict[str, Any] = {}
    for name, gate in gates().items():
        field = Field(description=gate.Limits.__doc__)
        if not gate.Limits.needs:
            field = Field(
                default_factory=dict, validate_default=True, description=gate.Limits.__doc__
            )
        fields[name] = (gate.Limits, field)
    return create_model("Gates", __base__=Section, __doc__="The limits of every gate.", **fields)


# The fields are the gate modules that exist, which no static type can say.
if TYPE_CHECKING:
    Gates: TypeAlias = Any
else:
    Gates = _gates_section()


class ModelConfig(Section):
    """One model's data, gates and serving limits."""

    holdout: Holdout | None = Field(
        None, description="The pinned data that the model is measured on."
    )
    gates: Gates = Field(description="Every gate is asked, with its defaults where it is left out.")
    production: Production = Field(Production(), description="How production is guarded.")
    local: Local = Field(Local(), description="The local target.")
    kubernetes: Kubernetes = Field(Kubernetes(), description="The Kubernetes target.")
    _source: Path = PrivateAttr(default=Path())

    @property
    def source(self) -> Path:
        """The file that this was read from."""
        return self._source

    @property
    def digest(self) -> str:
        """SHA-256 of what the judgement depends on: holdout and all limits, defaults included."""
        judged = self.model_dump(mode="json", include={"holdout", "gates"})
        canonical = json.dumps(judged, sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that gates ask of the holdout, each once, in the gates' order."""
        return tuple(dict.fromkeys(metric for _, metric in self._measured()))

    def _measured(self) -> Iterator[tuple[str, str]]:
        """Gate and metric, for each metric that a gate bounds on the holdout's scores."""
        for name, gate in gates().items():
            limits = getattr(self.gates, name)
            if gate.EVIDENCE is Scores and limits.skip is None:
                for value in limits.__dict__.values():
                    if isinstance(value, dict):
                        yield from ((name, metric) for metric in value)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if all(getattr(self.gates, name).skip is not None for name in gates()):
            raise ValueError("every gate is skipped: remove skip from at least one")
        return self

    @model_validator(mode="after")
    def _holdout_fits_gates(self) -> Self:
        for name, gate in gates().items():
            needs_rows = gate.EVIDENCE is Scores and getattr(self.gates, name).skip is None
            if needs_rows and self.holdout is None:
                raise ValueError(
                    f"gates.{name} needs a holdout: add one, or skip: <reason> to the gate"
                )
        for name, metric in self._measured():
            if self.holdout is not None and METRICS[metric].task != self.holdout.task:
                raise ValueError(f"gates.{name}: {metric} is not a metric of {self.holdout.task}")
        return self


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, and does not silently drop the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct as usual, after the keys are found to differ."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key that is not a word", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value} twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load_config(name: str, models_dir: Path) -> ModelConfig:
    """The configuration of a registered model.

    Args:
        name: the registered model's name.
        models_dir: the folder of `<name>.yaml` and `default.yaml`.

    Raises:
        UsageError: there is no file, or it is invalid.
    """
    # Compared with the files that exist, so that a name such as ../x leads to no other file.
    own = name in {path.stem for path in models_dir.glob("*.yaml")}
    path = models_dir / f"{name if own else DEFAULT}.yaml"
    try:
        data = yaml.load(path.read_bytes(), Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise UsageError(
            f"no configuration for {name}",
            expected=f"{name}.yaml or {DEFAULT}.yaml in {models_dir}",
            found=str(error.strerror),
            next_step=f"write {name}.yaml there; docs/gates.md has an example",
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is not valid YAML",
            found=_yaml_problem(error),
            next_step="correct that line",
        ) from error
    try:
        config = ModelConfig.model_validate(data if data is not None else {})
    except ValidationError as error:
        raise _usage_error(path, error) from error
    config._source = path
    return config


def schema() -> dict[str, Any]:
    """The JSON schema of `models/*.yaml`; `models/schema.json` is this."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ModelConfig.model_json_schema(),
    }


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return where + str(getattr(error, "problem", None) or error)


def _usage_error(path: Path, error: ValidationError) -> UsageError:
    """One of pydantic's errors, as a line that names file, key and what is expected."""
    # An unknown key comes first: a typo is also why another key is missing.
    first, *others = sorted(
        error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden"
    )
    key = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
    message = first["msg"].removeprefix("Value error, ")
    found = expected = ""
    if first["type"] == "extra_forbidden":
        message = "unknown key"
        known = _keys_at(first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=3, cutoff=0.5)
        expected = " or ".join(close) if close else f"one of {', '.join(known)}"
    elif first["type"] == "missing":
        message = "is missing"
    elif first["type"] != "value_error":
        found = repr(first["input"])[:80]
    more = f" ({len(others)} more after it)" if others else ""
    return UsageError(
        f"{path}: {key}: {message}",
        expected=expected,
        found=found,
        next_step=f"correct the file{more}; models/schema.json describes every key",
    )


def _keys_at(location: Sequence[int | str]) -> list[str]:
    """The keys that the schema knows at a place, such as ("gates", "latency")."""
    root = schema()
    node: dict[str, Any] = root
    for part in location:
        below = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        below = next((option for option in below.get("anyOf", ()) if "$ref" in option), below)
        node = root["$defs"].get(below.get("$ref", "").rpartition("/")[2], below)
    return list(node.get("properties", ()))
