"""What a model accepts and answers, read from the signature in its MLmodel file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from model_release.errors import RefusedError
from model_release.gates.evidence import Column, Signature


def read_signature(model_dir: Path, version: str) -> Signature:
    """Read inputs, outputs and parameters as MLflow wrote them; without mlflow.

    Types are MLflow's words ("double"); tensors read "tensor(float64, [-1, 4])"; nested types are
    their JSON. What has no name is named by its place ("0").

    Raises:
        RefusedError: MLmodel or the signature in it cannot be read.
    """
    try:
        metadata = yaml.safe_load((model_dir / "MLmodel").read_text("utf-8"))
        signature = metadata.get("signature") or {}
        example = metadata.get("saved_input_example_info") or {}
        return Signature(
            version=version,
            inputs=_fields(signature.get("inputs")),
            outputs=_fields(signature.get("outputs")),
            params=_fields(signature.get("params")) or (),
            has_input_example=(model_dir / str(example.get("artifact_path", "-"))).is_file(),
        )
    except (OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as error:
        raise RefusedError(
            f"signature of version {version}",
            expected="an MLmodel file as mlflow writes it",
            found=f"{type(error).__name__}: {error}",
            next_step="log the model again with mlflow",
        ) from error


def _fields(text: str | None) -> tuple[Column, ...] | None:
    return None if text is None else tuple(_each_field(json.loads(text)))


def _each_field(specs: list[dict[str, Any]]) -> Iterator[Column]:
    for place, spec in enumerate(specs):
        required = bool(spec.get("required", not spec.get("optional", False)))
        yield Column(str(spec.get("name", place)), _type(spec), required and "default" not in spec)


def _type(spec: dict[str, Any]) -> str:
    if spec["type"] == "tensor":
        tensor = spec["tensor-spec"]
        return f"tensor({tensor['dtype']}, {tensor['shape']})"
    said = {"name", "required", "optional", "default"}
    rest = {key: value for key, value in spec.items() if key not in said}
    return str(spec["type"]) if set(rest) <= {"type", "shape"} else json.dumps(rest, sort_keys=True)
