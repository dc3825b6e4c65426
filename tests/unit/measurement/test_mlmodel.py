"""What is read from an MLmodel file: the signature, and what a load would take in."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_release.errors import RefusedError
from model_release.gates.evidence import Column, SerializedFile, Signature
from model_release.measurement.mlmodel import (
    BOOSTER,
    own_loader,
    read_flavors,
    read_signature,
    settings_astray,
    unpickled_files,
)

INPUTS = [
    {"name": "length", "type": "double", "required": True},
    {"name": "region", "type": "string", "required": False},
    {"type": "long", "optional": True},
    {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}},
    {"name": "tags", "type": "array", "items": {"type": "string"}, "required": True},
]
PARAMS = [{"name": "scale", "type": "double", "default": 1.0, "shape": None}]


def write(folder: Path, content: Any) -> Path:
    (folder / "MLmodel").write_text(yaml.safe_dump(content))
    return folder


def test_a_signature_is_read_in_mlflows_words(tmp_path: Path) -> None:
    (tmp_path / "example.json").touch()
    signature = {"inputs": json.dumps(INPUTS), "outputs": None, "params": json.dumps(PARAMS)}
    content = {
        "signature": signature,
        "saved_input_example_info": {"artifact_path": "example.json"},
    }
    assert read_signature(write(tmp_path, content), "7") == Signature(
        version="7",
        inputs=(
            Column("length", "double"),
            Column("region", "string", required=False),
            Column("2", "long", required=False),
            Column("3", "tensor(float64, [-1, 4])"),
            Column("tags", '{"items": {"type": "string"}, "type": "array"}'),
        ),
        outputs=None,
        params=(Column("scale", "double", required=False),),
        has_input_example=True,
    )


def test_a_model_without_a_signature_has_none(tmp_path: Path) -> None:
    assert read_signature(write(tmp_path, {"flavors": {}}), "1") == Signature("1", None, None)


@pytest.mark.parametrize(
    "content",
    ["- a list", {"signature": {"inputs": "{"}}, {"signature": {"inputs": '[{"name": 1}]'}}],
)
def test_a_signature_that_cannot_be_read_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(RefusedError, match="signature of version 3; expected an MLmodel file"):
        read_signature(write(tmp_path, content), "3")


def test_no_file_is_refused_and_has_no_flavors(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="FileNotFoundError"):
        read_signature(tmp_path, "3")
    assert read_flavors(tmp_path) == {}


@pytest.mark.parametrize("content", [{"flavors": 3}, ["flavors"], {}, "text"])
def test_what_names_no_flavors_has_none(tmp_path: Path, content: Any) -> None:
    assert read_flavors(write(tmp_path, content)) == {}


def test_flavors_are_read(tmp_path: Path) -> None:
    flavors = {"sklearn": {"pickled_model": "model.pkl"}}
    assert read_flavors(write(tmp_path, {"flavors": flavors})) == flavors


@pytest.mark.parametrize(
    ("flavors", "found"),
    [
        ({}, [SerializedFile("MLmodel", "unknown", problem="no readable MLmodel with flavors")]),
        ({"python_function": {"loader_module": "mlflow.sklearn"}}, []),
        ({"sklearn": {}}, []),
        (
            {"python_function": {"loader_module": "mlflowish.own"}},
            [SerializedFile("MLmodel", "python", ("mlflowish.own",))],
        ),
    ],
)
def test_a_loader_that_is_not_mlflows_is_code(flavors: Any, found: list[SerializedFile]) -> None:
    assert list(own_loader(flavors)) == found


def test_settings_that_lead_out_of_the_model_or_to_code_are_named() -> None:
    flavors = {
        "sklearn": {"pickled_model": "/elsewhere/model.pkl", "code": "code"},
        "python_function": {"data": "a/../b", "model_path": "inside/model.pkl"},
        "odd": "no settings",
    }
    assert list(settings_astray("inner/MLmodel", flavors)) == [
        SerializedFile(
            "inner/MLmodel",
            "unknown",
            problem="pickled_model leads out of the model: /elsewhere/model.pkl",
        ),
        SerializedFile("inner/MLmodel", "python", ("code",)),
        SerializedFile("inner/MLmodel", "unknown", problem="data leads out of the model: a/../b"),
    ]


@pytest.mark.parametrize(
    ("settings", "files"),
    [
        ({"loader_module": "mlflow.xgboost", "data": "model.xgb"}, []),
        ({"loader_module": "mlflow.xgboost", "python_model": "m.pkl"}, ["m.pkl"]),
        ({"loader_module": "mlflow.sklearn", "model_path": "model.png"}, ["model.png"]),
        ({"data": "model.bin"}, ["model.bin"]),
        ({"loader_module": "mlflow.lightgbm", "model_class": BOOSTER, "data": "model.lgb"}, []),
        (
            {"loader_module": "mlflow.lightgbm", "model_class": "lightgbm.LGBMModel", "data": "m"},
            ["m"],
        ),
    ],
)
def test_what_mlflow_unpickles(settings: dict[str, str], files: list[str]) -> None:
    assert list(unpickled_files({"python_function": settings})) == files


def test_one_loader_that_unpickles_makes_pickles_of_all_files() -> None:
    flavors = {
        "python_function": {"loader_module": "mlflow.xgboost", "data": "a"},
        "sklearn": {"loader_module": "mlflow.sklearn", "data": "b"},
    }
    assert list(unpickled_files(flavors)) == ["a", "b"]
