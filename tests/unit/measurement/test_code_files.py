"""The scan of model files: what it finds, and that nothing runs while it looks."""

import bz2
import collections
import functools
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from model_release.gates.evidence import SerializedFile
from model_release.measurement.code_files import scan

MLMODEL = "flavors:\n  python_function: {loader_module: mlflow.sklearn}\n  sklearn: {}\n"


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "MLmodel").write_text(MLMODEL)
    (tmp_path / "requirements.txt").write_text("cat\ncolumn\n")
    return tmp_path


@pytest.fixture
def attack(tmp_path: Path) -> Attack:
    return Attack(f"touch {tmp_path}/owned")


def only(model: Path, content: bytes, name: str = "model.pkl") -> SerializedFile:
    """The one finding in a model that has one more file."""
    path = model / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    (found,) = scan(model).files
    assert not (model / "owned").exists()
    return found


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["model.pkl", "weights.onnx", "notes.txt", "no-suffix"])
def test_a_pickle_is_found_by_content(
    model: Path, attack: Attack, protocol: int, name: str
) -> None:
    found = only(model, pickle.dumps(attack, protocol), name)
    assert found == SerializedFile(name, "pickle", ("posix.system",))


def packed(content: bytes) -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("inner/data.pkl", content)
    return {
        "zip": archive.getvalue(),
        "gzip": gzip.compress(content),
        "bz2": bz2.compress(content),
        "xz": lzma.compress(content),
        "lzma": lzma.compress(content, lzma.FORMAT_ALONE),
        "zlib": zlib.compress(content),
        "gzip in gzip": gzip.compress(gzip.compress(content)),
    }


@pytest.mark.parametrize("kind", packed(b""))
def test_a_pickle_is_found_within_archives(model: Path, attack: Attack, kind: str) -> None:
    found = only(model, packed(pickle.dumps(attack))[kind])
    assert (found.format, found.imports, found.problem) == ("pickle", ("posix.system",), "")


def test_a_pickle_behind_a_pickle_is_found(model: Path, attack: Attack) -> None:
    assert only(model, pickle.dumps(1) + pickle.dumps(attack)).imports == ("posix.system",)


def test_a_pickle_in_a_pickle_needs_a_name_that_is_found(model: Path, attack: Attack) -> None:
    class Nested:
        def __reduce__(self) -> Any:
            return pickle.loads, (pickle.dumps(attack),)

    assert only(model, pickle.dumps(Nested())).imports == ("_pickle.loads",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(collections.OrderedDict(a=1))[:-1],
        pickle.dumps(functools.partial(int)) + b"\x00trailing",
        b"\x80\x04\x95garbage",
        b"\x80\x02\x82\x01.",
        pickle.dumps(1, 5)[:-1] + b"\x97.",
    ],
    ids=["cut off", "followed by bytes", "garbage", "extension registry", "outside buffer"],
)
def test_what_cannot_be_read_to_its_end_has_a_problem(model: Path, content: bytes) -> None:
    found = only(model, content)
    assert found.format == "pickle"
    assert found.problem.startswith("no pickle that can be read to its end")


RUNS = b"cposix\nsystem\n(S'touch owned'\ntR."
PATCH = b"cargparse\nNamespace\n(N}S'x'\nI1\nstb0"
FRAMED = b"\x95\x01\x00\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize("name", ["model.pkl", "model.png"])
@pytest.mark.parametrize(
    "content",
    [
        b"I010\n0" + RUNS,
        FRAMED + RUNS,
        PATCH + RUNS,
        b"csys\npath\nS'x'\na0" + RUNS,
        b"csys\nmodules\nS'x'\nI1\ns0" + RUNS,
        b"cos\nname\n\x8c\x06system\x93(S'touch owned'\ntR.",
        b"cposix\nabort\ncsys\nversion_info\nR.",
    ],
    ids=["octal", "frame", "class", "list", "dict", "name by name", "arguments by name"],
)
def test_no_opcode_stops_the_scan_that_does_not_stop_a_load(
    model: Path, content: bytes, name: str
) -> None:
    """Each of these is run by the unpickler in C, and made the one in Python stop before a call."""
    assert only(model, content, name).format == "pickle"


def test_what_mlflow_unpickles_is_a_pickle_whatever_it_looks_like(model: Path) -> None:
    for flavors in (
        "sklearn: {pickled_model: ./model.png}",
        "python_function: {loader_module: mlflow.sklearn, model_path: model.png}",
        "lightgbm: {model_class: lightgbm.sklearn.LGBMModel, data: model.png}",
    ):
        (model / "MLmodel").write_text(f"flavors: {{{flavors}}}\n")
        assert only(model, b"\x89PNG", "model.png").problem != ""


def test_a_model_within_the_model_says_what_is_unpickled_too(model: Path) -> None:
    (model / "inner").mkdir()
    (model / "inner" / "MLmodel").write_text("flavors: {sklearn: {pickled_model: model.pkl}}\n")
    joblib.dump(np.arange(1000.0), model / "inner" / "model.pkl")
    (found,) = scan(model).files
    assert found.problem != ""


@pytest.mark.parametrize("path", ["../other/model.pkl", "/models/other/model.pkl", "a/../../b"])
@pytest.mark.parametrize("key", ["pickled_model", "model_path", "data", "code"])
def test_nothing_is_loaded_from_elsewhere(model: Path, key: str, path: str) -> None:
    """The files of another model may lie beside this one's, never scanned for it."""
    (model / "MLmodel").write_text(f"flavors: {{sklearn: {{{key}: {path}}}}}\n")
    (found,) = scan(model).files
    assert found.problem == f"{key} leads out of the model: {path}"


def test_a_place_to_import_from_is_code_whatever_its_name(model: Path) -> None:
    """Python imports from a zip, also behind other bytes, by any name."""
    (model / "MLmodel").write_text("flavors: {sklearn: {code: weights.png}}\n")
    (model / "weights.png").write_bytes(b"\x89PNG" + packed(b"code")["zip"])
    assert scan(model).files == (SerializedFile("MLmodel", "python", ("weights.png",)),)


def test_an_archive_that_only_calls_itself_skops_is_searched(model: Path, attack: Attack) -> None:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), model / "model.pt")
    with zipfile.ZipFile(model / "model.pt", "a") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(attack))
    listed, found = scan(model).files
    assert listed == SerializedFile("model.pt", "skops", ())
    assert found == SerializedFile("model.pt!model/data.pkl", "pickle", ("posix.system",))


def test_a_key_that_takes_forever_to_hash_is_never_hashed(model: Path) -> None:
    doubled = b"(t" + b"2\x86" * 60
    assert only(model, b"}" + doubled + b"Ns.").format == "pickle"
    assert only(model, b"(" + doubled + b"Nd.").format == "pickle"
    assert only(model, b"\x80\x04(" + doubled + b"\x91.").format == "pickle"
    assert only(model, b"\x80\x04\x8f(" + doubled + b"\x90.").format == "pickle"


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_joblib_files_are_read_to_their_end(model: Path, compress: Any) -> None:
    data = {
        "numbers": np.arange(1000.0).reshape(10, 100),
        "records": np.zeros(3, dtype=[("a", "f8"), ("b", "i4")]),
        "objects": np.array(["a", None], dtype=object),
        "empty": np.zeros((0, 3)),
        "fraction": functools.partial(int, 3),
    }
    joblib.dump(data, model / "artifacts.joblib", compress=compress)
    (found,) = scan(model).files
    assert found.problem == ""
    assert {"joblib.numpy_pickle.NumpyArrayWrapper", "functools.partial"} <= set(found.imports)


def test_bytes_that_only_joblib_would_skip_are_not_skipped_for_a_pickle(model: Path) -> None:
    """A file that mlflow gives to pickle.load cannot hide opcodes in the arrays of joblib."""
    (model / "MLmodel").write_text("flavors: {sklearn: {pickled_model: model.pkl}}\n")
    joblib.dump(np.arange(1000.0), model / "model.pkl")
    (found,) = scan(model).files
    assert found.problem != ""


def test_objects_in_numpy_arrays_are_found(model: Path, attack: Attack) -> None:
    np.save(model / "plain.npy", np.arange(3.0))
    np.savez(model / "objects.npz", plain=np.arange(3), evil=np.array([attack], dtype=object))
    (found,) = scan(model).files
    assert found.path == "objects.npz!evil.npy"
    assert "posix.system" in found.imports


def test_torch_archives_are_their_pickle(model: Path) -> None:
    class Storage:
        def __reduce__(self) -> Any:
            return collections.OrderedDict, ()

    with zipfile.ZipFile(model / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Storage(), 2))
        archive.writestr("model/data/0", b"\x00\xff" * 100)
        archive.writestr("model/version", "3\n")
    (found,) = scan(model).files
    assert (found.path, found.imports) == ("model.pt!model/data.pkl", ("collections.OrderedDict",))


def test_skops_files_are_listed_by_what_skops_does_not_trust(model: Path) -> None:
    plain = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    skops.io.dump(plain, model / "plain.skops")
    skops.io.dump(FunctionTransformer(os.path.basename), model / "risky.skops")
    assert scan(model).files == (
        SerializedFile("plain.skops", "skops", ()),
        SerializedFile("risky.skops", "skops", ("posixpath.basename",)),
    )


def test_python_is_listed_with_its_imports(model: Path) -> None:
    found = only(model, b"import os.path, json\nfrom . import x\nfrom a.b import c", "code/m.py")
    assert found == SerializedFile("code/m.py", "python", (".", "a.b", "json", "os.path"))
    assert only(model, b"def", "code/m.py").problem.startswith("SyntaxError")


def test_a_foreign_loader_module_is_named(model: Path) -> None:
    (model / "MLmodel").write_text("flavors: {python_function: {loader_module: mine.loader}}\n")
    found = scan(model)
    assert found.flavors == ("python_function",)
    assert found.files == (SerializedFile("MLmodel", "python", ("mine.loader",)),)


@pytest.mark.parametrize("text", ["", "flavors: 3\n", "{", "- a\n"])
def test_no_readable_mlmodel_is_a_problem(model: Path, text: str) -> None:
    (model / "MLmodel").write_text(text)
    (found,) = scan(model).files
    assert (found.path, found.format, found.problem != "") == ("MLmodel", "unknown", True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.bin", b"\xff\xfe\x00\x01"),
        ("library.so", b"\x7fELF\x00"),
        ("module.pyc", b"\xa7\r\r\n\x00"),
        ("broken.zip", b"PK\x03\x04broken"),
        ("broken.gz", b"\x1f\x8bbroken"),
        ("broken.npy", b"\x93NUMPY\x09"),
    ],
)
def test_unknown_binary_is_unknown(model: Path, name: str, content: bytes) -> None:
    assert only(model, content, name).format == "unknown"


def test_archives_within_archives_end(model: Path) -> None:
    content = b"text"
    for _ in range(8):
        content = gzip.compress(content)
    assert only(model, content).problem == "archives within archives"


def test_text_and_data_formats_are_harmless(model: Path) -> None:
    (model / "labels.txt").write_text("cat\ndog\nxylophone\n")
    (model / "x.json").write_text('{"a": 1}')
    (model / "words").write_text("xy\nBZ\nPK\n")
    (model / "empty").touch()
    (model / "weights.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{\xff}")
    found = scan(model)
    assert found.flavors == ("sklearn",)
    assert found.files == ()
