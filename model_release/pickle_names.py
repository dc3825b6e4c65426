"""Which names a pickle would import and call, found without importing or calling any of them.

The standard library's own unpickler runs the opcodes, so that names are those that a real load
would ask for, however they are put together; but every name is answered with an inert class.
(From a list of opcodes, as pickletools gives, one would have to guess what is on the stack.)
"""

import _compat_pickle
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

ARRAY_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
HAS_OBJECTS = 1
"""The flag of a pickled numpy dtype that says that its items are Python objects."""


@dataclass(frozen=True)
class Found:
    """The names, whether any of them is called, and why the pickle could not be read to its end."""

    names: frozenset[str]
    calls: bool
    problem: str = ""


def find_names(file: BinaryIO, *, joblib: bool) -> Found:
    """Run the pickles that fill `file` from its position to its end.

    Args:
        file: seekable.
        joblib: skip the raw arrays that joblib writes between opcodes. Only for files that no
            `pickle.load` reads: it would run those bytes.
    """
    names: set[str] = set()
    called: list[str] = []
    try:
        while _more(file):
            _Inert(file, names, called, joblib=joblib).load()
    # The unpickler of the standard library raises whatever a broken stream leads to.
    except Exception as error:  # noqa: BLE001
        problem = f"no pickle that can be read to its end ({type(error).__name__}: {error})"
        return Found(frozenset(names), bool(called), problem[:300])
    return Found(frozenset(names), bool(called))


def _more(file: BinaryIO) -> bool:
    more = bool(file.read(1))
    if more:
        file.seek(-1, 1)
    return more


class _Stub:
    """Stands for whatever a name is: can be called, given a state and filled; does nothing."""

    name = ""
    called: list[str]
    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *arguments: Any, **_: Any) -> "_Stub":
        stub = object.__new__(cls)
        stub.arguments = arguments
        cls.called.append(cls.name)
        return stub

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> "_Stub":
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, _: Any) -> None: ...

    def extend(self, _: Any) -> None: ...

    def add(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...


class _Inert(pickle._Unpickler):
    """Collects names in place of importing them."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)
    proto: int
    stack: list[Any]

    def __init__(self, file: BinaryIO, names: set[str], called: list[str], *, joblib: bool) -> None:
        super().__init__(file)
        self._file = file
        self._names = names
        self._called = called
        self._joblib = joblib

    def find_class(self, module: str, name: str) -> Any:
        if self.proto < 3:
            if (module, name) in _compat_pickle.NAME_MAPPING:
                module, name = _compat_pickle.NAME_MAPPING[module, name]
            else:
                module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        full = f"{module}.{name}"
        self._names.add(full)
        return type("Stub", (_Stub,), {"name": full, "called": self._called})

    def persistent_load(self, pid: Any) -> Any:
        del pid
        return self.find_class("persistent", "id")()

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError(f"extension {code}, whose name is not in the file")

    def load_build(self) -> None:
        """As inherited; then skips the array that joblib writes behind its wrapper."""
        super().load_build()  # type: ignore[misc]
        built = self.stack[-1]
        if self._joblib and isinstance(built, _Stub) and built.name == ARRAY_WRAPPER:
            self._skip_array(built.state)

    dispatch[pickle.BUILD[0]] = load_build

    def _skip_array(self, wrapper: dict[str, Any]) -> None:
        """Skip what `joblib.numpy_pickle.NumpyArrayWrapper.read_array` reads."""
        import numpy as np

        dtype = wrapper["dtype"]
        if dtype.state[-1] & HAS_OBJECTS:
            _Inert(self._file, self._names, self._called, joblib=True).load()
            return
        if wrapper.get("numpy_array_alignment_bytes") is not None:
            self._file.read(self._file.read(1)[0])
        size = math.prod(wrapper["shape"]) * np.dtype(dtype.arguments[0]).itemsize
        start = self._file.tell()
        self._file.seek(size, 1)
        if self._file.tell() != start + size:
            raise EOFError("an array that is cut off")
