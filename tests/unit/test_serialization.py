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
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from model_release.evidence import SerializedFile
from model_release.pickle_names import find_names
from model_release.serialization import scan

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


def test_names_put_together_on_the_stack_are_found(model: Path) -> None:
    """STACK_GLOBAL whose strings come out of the memo, with others pushed in between."""
    content = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94N0h\x00h\x01\x93\x8c\x04true\x85R."
    assert only(model, content).imports == ("posix.system",)


def test_names_of_python_2_are_those_that_a_load_would_import(model: Path) -> None:
    assert only(model, b"c__builtin__\neval\n(S'1'\ntR.").imports == ("builtins.eval",)


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


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(value=VALUES, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_are_read_to_their_end(value: object, protocol: int) -> None:
    found = find_names(io.BytesIO(pickle.dumps(value, protocol)), joblib=False)
    assert found.problem == ""
    assert found.names <= {"builtins.frozenset", "_codecs.encode", "builtins.bytearray"} | {
        "builtins.bytes"
    }


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_answered(content: bytes) -> None:
    find_names(io.BytesIO(content), joblib=True)
