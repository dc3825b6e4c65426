"""The model digest: what changes it, what does not, what it refuses."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from model_release.digest import file_sha256, model_digest
from model_release.errors import RefusedError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "weights.bin").write_bytes(b"\x00\x01")
    return folder


def test_it_is_the_documented_construction(model: Path) -> None:
    expected = hashlib.sha256()
    for name, content in ((b"MLmodel", b"flavors: {}\n"), (b"data/weights.bin", b"\x00\x01")):
        expected.update(len(name).to_bytes(8, "big") + name + hashlib.sha256(content).digest())
    assert model_digest(model) == f"sha256:{expected.hexdigest()}"


def _append(folder: Path) -> None:
    with (folder / "MLmodel").open("a") as file:
        file.write(" ")


def _add(folder: Path) -> None:
    (folder / "new").touch()


def _rename(folder: Path) -> None:
    (folder / "MLmodel").rename(folder / "mlmodel")


def _move_a_byte(folder: Path) -> None:
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "weights.bin").write_bytes(b"\n\x00\x01")


def _nest_meta(folder: Path) -> None:
    (folder / "data" / "registered_model_meta").touch()


@pytest.mark.parametrize("change", [_append, _add, _rename, _move_a_byte, _nest_meta])
def test_any_change_of_content_changes_it(model: Path, change: Callable[[Path], None]) -> None:
    before = model_digest(model)
    change(model)
    assert model_digest(model) != before


def test_place_times_modes_and_what_mlflow_injects_do_not(model: Path) -> None:
    before = model_digest(model)
    (model / "registered_model_meta").write_text("model_name: x")
    (model / "empty").mkdir()
    (model / "MLmodel").chmod(0o600)
    os.utime(model / "MLmodel", (0, 0))
    moved = model.rename(model.with_name("elsewhere"))
    assert model_digest(moved) == before


def _link(folder: Path) -> None:
    (folder / "link").symlink_to("MLmodel")


def _linked_folder(folder: Path) -> None:
    (folder / "link").symlink_to("/etc")


def _linked_meta(folder: Path) -> None:
    (folder / "registered_model_meta").symlink_to("/etc/passwd")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


@pytest.mark.parametrize("change", [_link, _linked_folder, _linked_meta, _pipe])
def test_what_is_no_regular_file_is_refused(model: Path, change: Callable[[Path], None]) -> None:
    change(model)
    with pytest.raises(RefusedError, match=r"in the model; expected a regular file or a folder"):
        model_digest(model)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="expected at least one file; found none"):
        model_digest(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be read"):
        model_digest(tmp_path / "gone")


def test_file_sha256_is_that_of_sha256sum(model: Path) -> None:
    assert file_sha256(model / "data" / "weights.bin") == hashlib.sha256(b"\x00\x01").hexdigest()
