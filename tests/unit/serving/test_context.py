"""The context folder says which release is served."""

import json
from pathlib import Path

import pytest

from serving.context import ServedRelease, model_folder, read_release
from serving.errors import WrongUsageError

FIELDS = {
    "model": "iris",
    "version": "3",
    "digest": "sha256:ab",
    "release": "run",
    "batching": True,
    "more": "is ignored",
}


def test_a_release_is_read_and_answered(tmp_path: Path) -> None:
    (tmp_path / "release.json").write_text(json.dumps(FIELDS))
    release = read_release(tmp_path)
    assert release == ServedRelease("iris", "3", "sha256:ab", "run", batching=True)
    assert json.loads(release.answer()) == {
        "name": "iris",
        "version": "3",
        "digest": "sha256:ab",
        "release": "run",
    }


@pytest.mark.parametrize(("field", "value"), [("version", 3), ("batching", "yes"), ("model", None)])
def test_a_field_of_another_type_is_refused(tmp_path: Path, field: str, value: object) -> None:
    (tmp_path / "release.json").write_text(json.dumps({**FIELDS, field: value}))
    with pytest.raises(WrongUsageError, match=f"missing or of another type: {field};"):
        read_release(tmp_path)


def test_the_model_needs_its_mlmodel(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(WrongUsageError, match="MLmodel"):
        model_folder(tmp_path)
    (tmp_path / "model" / "MLmodel").touch()
    assert model_folder(tmp_path) == tmp_path / "model"
