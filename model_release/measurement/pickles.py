"""Which names a pickle would import and call, found without importing or calling any of them.

The standard library's own unpickler runs the opcodes, so that names are those that a real load
would ask for, however they are put together; but every name is answered with an inert class.
(From a list of opcodes, as pickletools gives, one would have to guess what is on the stack.)
A real load is done by the unpickler in C, and what it goes on after may not stop this one: what
comes behind would not be seen.
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
        # What a name stands for may be all that does not fit here: arguments found by name, say.
        hidden = bool(names) and isinstance(error, TypeError | AttributeError)
        return Found(frozenset(names), bool(called) or hidden, problem[:300])
    return Found(frozenset(names), bool(called))


def _more(file: BinaryIO) -> bool:
    more = bool(file.read(1))
    if more:
        file.seek(-1, 1)
    return more


class _Stub:
    """Stands for whatever a name is: can be called, and its result called again; does nothing."""

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


def _is_named(value: Any) -> bool:
    """Whether a value stands for what a name leads to, and not for what a call returned."""
    return isinstance(value, type) and issubclass(value, _Stub)


class _Inert(pickle._Unpickler):
    """Collects names in place of importing them."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)
    proto: int
    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, file: BinaryIO, names: set[str], called: list[str], *, joblib: bool) -> None:
        super().__init__(file)
        self._file = file
        self._names = names
        self._called = called
        self._joblib = joblib

    def find_class(self, module: str, name: str) -> Any:
        """Collect a name; `module:Outer.inner` where it leads through what the module imported."""
        if self.proto < 3:
            if (module, name) in _compat_pickle.NAME_MAPPING:
                module, name = _compat_pickle.NAME_MAPPING[module, name]
            else:
                module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        full = f"{module}{':' if '.' in name else '.'}{name}"
        self._names.add(full)
        return type("Stub", (_Stub,), {"name": full, "called": self._called})

    def persistent_load(self, pid: Any) -> Any:
        del pid
        return self.find_class("persistent", "id")()

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError(f"extension {code}, whose name is not in the file")

    def load_frame(self) -> None:
        """Read on across the end of a frame, as the unpickler in C does."""
        self.read(8)

    def load_int(self) -> None:
        """As inherited; text that only C reads as a number (`010`) is some number."""
        try:
            super().load_int()  # type: ignore[misc]
        except ValueError:
            self.append(0)

    def load_stack_global(self) -> None:
        """As inherited; a name that is itself found by name (`os.name`) is one that nobody sees."""
        if any(_is_named(each) for each in self.stack[-2:]):
            self._called.append("a name that is not in the file")
            raise pickle.UnpicklingError("a name that is not in the file")
        super().load_stack_global()  # type: ignore[misc]

    def load_append(self) -> None:
        """Take a value off the stack, for what lies below it."""
        self._fill([self.stack.pop()])

    def load_appends(self) -> None:
        """Take values off the stack, for what lies below them."""
        self._fill(self.pop_mark())

    def load_setitem(self) -> None:
        """Take a key and its value off the stack, for what lies below them."""
        value, key = self.stack.pop(), self.stack.pop()
        self._fill([key, value])

    def load_dict(self) -> None:
        """Make a dictionary of what lies above the mark."""
        items = self.pop_mark()
        self.append({})
        self._fill(items)

    def load_frozenset(self) -> None:
        """Make a set of what lies above the mark: its members are of no interest."""
        self.pop_mark()
        self.append(frozenset())

    def _fill(self, items: list[Any]) -> None:
        """Fill what is on top of the stack. To fill something by its name is as good as a call.

        Only texts become keys: the hash of nested tuples may take for ever.
        """
        filled = self.stack[-1]
        if _is_named(filled):
            self._called.append(filled.name)
        elif isinstance(filled, list):
            filled.extend(items)
        elif isinstance(filled, dict):
            pairs = zip(items[::2], items[1::2], strict=True)
            filled.update((key, value) for key, value in pairs if type(key) is str)

    def load_build(self) -> None:
        """As inherited; then skips the array that joblib writes behind its wrapper."""
        state, built = self.stack.pop(), self.stack[-1]
        if _is_named(built):
            self._called.append(built.name)
        elif isinstance(built, _Stub):
            built.state = state
        if self._joblib and isinstance(built, _Stub) and built.name == ARRAY_WRAPPER:
            self._skip_array(built.state)

    dispatch |= {
        pickle.FRAME[0]: load_frame,
        pickle.INT[0]: load_int,
        pickle.STACK_GLOBAL[0]: load_stack_global,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_appends,
        pickle.ADDITEMS[0]: load_appends,
        pickle.DICT[0]: load_dict,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.BUILD[0]: load_build,
    }

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
