"""What an MLmodel file says: what the model accepts and answers, and what loading it would read."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from model_release.errors import RefusedError
from model_release.gates.evidence import Column, SerializedFile, Signature

PICKLED = ("pickled_model", "python_model")
LOADED = ("model_path", "data")
"""Settings in MLmodel that name files which its loader reads, the first ones as pickles."""

TEXT = "tag:yaml.org,2002:str"

CODE = "code"
"""The setting in MLmodel that names what Python may import from: a folder, or a zip by any name."""

READERS = {f"mlflow.{name}" for name in ("catboost", "onnx", "prophet", "pytorch", "xgboost")}
"""Loaders that read what LOADED names by themselves: no pickle, or a folder or archive of some."""

BOOSTER = "lightgbm.basic.Booster"
"""The one class whose files mlflow's loader for lightgbm does not unpickle."""


FORGED = (ValueError, TypeError, AttributeError, KeyError, RecursionError)
"""What Python raises about content that MLflow does not write."""

MOST_BYTES = 8 * 2**20
MOST_NODES = 10_000
"""What an MLmodel may hold, aliases written out as well; MLflow's own have some hundred."""
MOST_DIGITS = 100
"""Of a number or a time: `1:1:1…` is one to the base of 60, which takes ever longer to make."""


class _Loader(yaml.SafeLoader):
    """Ends at what an MLmodel may hold: a megabyte of `1,1,1…` takes a minute to read."""

    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES:,} values")
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and node.tag != TEXT and len(node.value) > MOST_DIGITS:
            raise ValueError(f"a value of more than {MOST_DIGITS} characters that is no text")
        return node


def _read(folder: Path) -> Any:
    """The content of a folder's MLmodel.

    A few hundred bytes of aliases of aliases stand for any amount of content: it is counted before
    anything is made of it.

    Raises:
        OSError, UnicodeDecodeError, yaml.YAMLError: it cannot be read.
        ValueError: it is too large.
    """
    with (folder / "MLmodel").open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes")
    loader = _Loader(content.decode("utf-8"))
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _written_out(node, {}) > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES:,} values, aliases written out")
        return loader.construct_document(node)
    except RecursionError as error:
        raise ValueError("values nested too deeply") from error
    finally:
        loader.dispose()


def _written_out(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are below and with this one, each alias counted as what it names."""
    if id(node) not in known:
        known[id(node)] = MOST_NODES  # an alias of what it stands in
        below = [part for each in node.value for part in (each if type(each) is tuple else (each,))]
        found = 1 + sum(_written_out(each, known) for each in below if isinstance(each, yaml.Node))
        known[id(node)] = found
    return known[id(node)]


def read_signature(model_dir: Path, version: str) -> Signature:
    """Read inputs, outputs and parameters as MLflow wrote them, without importing mlflow.

    Types are MLflow's words ("double"); tensors read "tensor(float64, [-1, 4])"; nested types are
    their JSON. What has no name is named by its place ("0").

    Raises:
        RefusedError: MLmodel or the signature in it cannot be read.
    """
    try:
        metadata = _read(model_dir)
        signature = metadata.get("signature") or {}
        example = metadata.get("saved_input_example_info") or {}
        return Signature(
            version=version,
            inputs=_fields(signature.get("inputs")),
            outputs=_fields(signature.get("outputs")),
            params=_fields(signature.get("params")) or (),
            has_input_example=(model_dir / str(example.get("artifact_path", "-"))).is_file(),
        )
    except (OSError, *FORGED, yaml.YAMLError) as error:
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


def read_flavors(folder: Path) -> dict[str, Any]:
    """The flavors that the MLmodel in a folder names; none where it cannot be read."""
    try:
        metadata = _read(folder)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    flavors = metadata.get("flavors") if isinstance(metadata, dict) else None
    return flavors if isinstance(flavors, dict) else {}


def own_loader(flavors: dict[str, Any]) -> Iterator[SerializedFile]:
    """The module that MLmodel names as its loader, if not one of mlflow; or a missing MLmodel."""
    if not flavors:
        yield SerializedFile("MLmodel", "unknown", problem="no readable MLmodel with flavors")
    function = flavors.get("python_function")
    loader = str(function.get("loader_module", "")) if isinstance(function, dict) else ""
    if loader and not loader.startswith("mlflow."):
        yield SerializedFile("MLmodel", "python", (loader,))


def _settings(flavors: dict[str, Any], keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Key and value of every setting among `keys`, of all flavors."""
    for settings in flavors.values():
        for key in keys if isinstance(settings, dict) else ():
            if settings.get(key):
                yield key, str(settings[key])


def settings_astray(mlmodel: str, flavors: dict[str, Any]) -> Iterator[SerializedFile]:
    """Settings by which loading finds code, or reads other files than those that are scanned."""
    for key, value in _settings(flavors, (*PICKLED, *LOADED, CODE)):
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            problem = f"{key} leads out of the model: {value}"
            yield SerializedFile(mlmodel, "unknown", problem=problem)
        elif key == CODE:
            yield SerializedFile(mlmodel, "python", (value,))


def unpickled_files(flavors: dict[str, Any]) -> Iterator[str]:
    """Files that mlflow itself gives to `pickle.load`, as MLmodel names them."""
    loaders = {value for _, value in _settings(flavors, ("loader_module",))}
    classes = {value for _, value in _settings(flavors, ("model_class",))}
    own = READERS | {"mlflow.lightgbm"} if classes == {BOOSTER} else READERS
    reads = bool(loaders) and loaders <= own
    for _, value in _settings(flavors, PICKLED if reads else (*PICKLED, *LOADED)):
        yield value
