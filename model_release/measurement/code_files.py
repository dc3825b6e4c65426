"""What loading a model would run: every file that can hold code, and the names it would import.

A file is judged by its content, not by its name: whatever the standard library's unpickler can
follow is a pickle. Text is harmless unless it is Python or such a pickle; binary that no rule here
knows is "unknown", and the gate stops it. What MLmodel has unpickled has to be a readable pickle.
"""

import ast
import bz2
import codecs
import gzip
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from model_release.digest import model_files
from model_release.gates.evidence import Serialization, SerializedFile
from model_release.measurement.mlmodel import (
    own_loader,
    read_flavors,
    settings_astray,
    unpickled_files,
)
from model_release.measurement.pickles import find_names

MAX_DEPTH = 4
MAX_UNPACKED_BYTES = 8 * 2**30
MAX_SCHEMA_BYTES = 2**28
"""Of a skops file's schema, which is read as a whole; some kilobytes unpack to gigabytes."""
CHUNK_BYTES = 2**20

DATA_SUFFIXES = {
    *(".safetensors", ".onnx", ".ubj", ".xgb", ".cbm", ".parquet", ".arrow", ".feather"),
    *(".png", ".jpg", ".jpeg", ".pdf", ".spm"),
}
"""Binary formats whose readers run no code; a pickle by such a name is found all the same."""

CODE_SUFFIXES = {".so", ".pyc", ".pyd", ".dll", ".dylib", ".exe"}
"""Compiled code: only a trusted flavor lets it through; MLflow logs `.pyc` files beside `.py`."""


def scan(model_dir: Path) -> Serialization:
    """List the model's flavors and its risky files. Nothing is imported, loaded or run."""
    flavors = read_flavors(model_dir)
    files = list(own_loader(flavors))
    unpickled: set[Path] = set()
    for mlmodel in sorted(model_dir.rglob("MLmodel")):
        inner = read_flavors(mlmodel.parent)
        files += settings_astray(mlmodel.relative_to(model_dir).as_posix(), inner)
        unpickled.update(mlmodel.parent / name for name in unpickled_files(inner))
    for path in sorted(model_files(model_dir)):
        name = path.relative_to(model_dir).as_posix()
        with path.open("rb") as file:
            own = path not in unpickled
            files += _scan(name, file, joblib=own, unpickled=not own)
    named = tuple(name for name in flavors if name != "python_function")
    return Serialization(named or tuple(flavors), tuple(files))


def _scan(
    name: str, file: BinaryIO, *, joblib: bool, unpickled: bool = False, depth: int = 0
) -> Iterator[SerializedFile]:
    """Everything risky in one file, or in one member of an archive ("archive!member").

    `joblib`: its arrays may lie between opcodes. `unpickled`: a pickle, whatever it looks like.
    """
    head = file.read(8)
    file.seek(0)
    inner = partial(_scan, joblib=joblib, depth=depth + 1)
    unpack = next((read for magic, read in PACKED.items() if head.startswith(magic)), None)
    if depth > MAX_DEPTH:
        yield SerializedFile(name, "unknown", problem="archives within archives")
    elif head.startswith(b"PK\x03\x04"):
        yield from _archive(name, file, inner)
    elif unpack:
        yield from _packed(name, unpack(file), partial(inner, unpickled=unpickled))
    elif head.startswith(b"\x93NUMPY"):
        yield from _array(name, file)
    elif head:
        yield from _plain(name, file, head, joblib=joblib, unpickled=unpickled)


def _plain(
    name: str, file: BinaryIO, head: bytes, *, joblib: bool, unpickled: bool
) -> Iterator[SerializedFile]:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in (".py", ".ipynb"):
        yield _python(name, file.read())
        return
    if suffix in CODE_SUFFIXES:
        yield SerializedFile(name, "unknown")
        return
    found = find_names(file, joblib=joblib)
    if found.calls or not found.problem or head.startswith(b"\x80") or unpickled:
        yield SerializedFile(name, "pickle", tuple(sorted(found.names)), found.problem)
    elif suffix not in DATA_SUFFIXES and not _is_text(file):
        yield SerializedFile(name, "unknown")


def _python(name: str, source: bytes) -> SerializedFile:
    """Python code shipped with the model, with the modules that it imports."""
    if name.endswith(".ipynb"):
        return SerializedFile(name, "python")
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # nested too deeply
        return SerializedFile(name, "python", problem=f"{type(error).__name__}: {error}")
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    return SerializedFile(name, "python", tuple(sorted(modules)))


def _archive(
    name: str, file: BinaryIO, inner: Callable[[str, BinaryIO], Iterator[SerializedFile]]
) -> Iterator[SerializedFile]:
    """A skops file, or every member of a zip (npz, torch, wheel)."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {member.filename: member for member in archive.infolist()}
            if "schema.json" in members and members["schema.json"].file_size > MAX_SCHEMA_BYTES:
                yield SerializedFile(name, "unknown", problem="a schema that is too large")
                return
            if "schema.json" in members:
                yield _skops(name, file)
            if sum(member.file_size for member in members.values()) > MAX_UNPACKED_BYTES:
                yield SerializedFile(name, "unknown", problem="too large when unpacked")
                return
            for path, member in members.items():
                if not member.is_dir() and not _is_tensor(path, members):
                    with archive.open(member) as content:
                        found = inner(f"{name}!{path}", cast("BinaryIO", content))
                        # Another loader than skops may take it: what only skops reads is its own.
                        skops = "schema.json" in members
                        yield from (each for each in found if each.format == "pickle" or not skops)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error) as error:
        yield SerializedFile(name, "unknown", problem=f"no readable archive: {error}")


def _is_tensor(path: str, members: dict[str, Any]) -> bool:
    """Whether a member is raw numbers beside torch's pickle: `<folder>/data/<number>`."""
    folder, _, number = path.rpartition("/data/")
    return number.isdigit() and f"{folder}/data.pkl" in members


def _skops(name: str, file: BinaryIO) -> SerializedFile:
    """The types that skops does not trust by itself; it builds nothing to list them."""
    from skops.io import get_untrusted_types

    file.seek(0)
    try:
        return SerializedFile(name, "skops", tuple(get_untrusted_types(data=file.read())))
    # skops raises whatever a broken schema leads to.
    except Exception as error:  # noqa: BLE001
        problem = f"no readable skops file ({type(error).__name__}: {error})"
        return SerializedFile(name, "skops", problem=problem)


def _packed(
    name: str,
    chunks: Iterator[bytes],
    inner: Callable[[str, BinaryIO], Iterator[SerializedFile]],
) -> Iterator[SerializedFile]:
    with tempfile.TemporaryFile() as unpacked:
        try:
            for chunk in chunks:
                unpacked.write(chunk)
                if unpacked.tell() > MAX_UNPACKED_BYTES:
                    raise OSError("too large when unpacked")
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            yield SerializedFile(name, "unknown", problem=f"cannot be unpacked: {error}")
            return
        unpacked.seek(0)
        yield from inner(f"{name}!", cast("BinaryIO", unpacked))


def _chunks(file: Any) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    for chunk in _chunks(file):
        yield inflate.decompress(chunk, CHUNK_BYTES)
        while inflate.unconsumed_tail:
            yield inflate.decompress(inflate.unconsumed_tail, CHUNK_BYTES)
    if not inflate.eof or inflate.unused_data:
        raise EOFError("a stream that is cut off or followed by something else")


def _array(name: str, file: BinaryIO) -> Iterator[SerializedFile]:
    """An .npy file: numbers hold no code, objects are a pickle behind the header."""
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        _, _, dtype = header(file)
    except (ValueError, MemoryError) as error:  # the second: nested too deeply
        yield SerializedFile(name, "unknown", problem=f"no readable array: {error}")
        return
    if dtype.hasobject:
        found = find_names(file, joblib=False)
        yield SerializedFile(name, "pickle", tuple(sorted(found.names)), found.problem)


def _is_text(file: BinaryIO) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        texts = (decoder.decode(chunk, final=not chunk) for chunk in chain(_chunks(file), [b""]))
        return not any("\0" in text for text in texts)
    except UnicodeDecodeError:
        return False


def _through(reader: Callable[[BinaryIO], Any]) -> Callable[[BinaryIO], Iterator[bytes]]:
    return lambda file: _chunks(reader(file))


PACKED: dict[bytes, Callable[[BinaryIO], Iterator[bytes]]] = {
    b"\x1f\x8b": _through(gzip.open),
    b"BZh": _through(bz2.open),
    b"\xfd7zXZ\x00": _through(lzma.open),
    b"\x5d\x00\x00": _through(lzma.open),
    **dict.fromkeys((b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), _inflated),
}
"""The compressions that joblib writes, by their first bytes, each with its reader."""
