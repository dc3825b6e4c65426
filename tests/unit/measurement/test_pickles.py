"""Names in pickles: found without importing or calling any of them."""

import io
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from model_release.measurement.pickles import find_names


def names(content: bytes) -> set[str]:
    """The names in a pickle that is read to its end."""
    found = find_names(io.BytesIO(content), joblib=False)
    assert found.problem == ""
    return set(found.names)


def test_names_put_together_on_the_stack_are_found() -> None:
    """STACK_GLOBAL whose strings come out of the memo, with others pushed in between."""
    content = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94N0h\x00h\x01\x93\x8c\x04true\x85R."
    assert names(content) == {"posix.system"}


def test_names_of_python_2_are_those_that_a_load_would_import() -> None:
    assert names(b"c__builtin__\neval\n(S'1'\ntR.") == {"builtins.eval"}


def test_a_name_that_leads_through_a_module_is_told_apart() -> None:
    """To trust `sklearn.*` is not to trust what its modules have imported."""
    content = b"\x80\x04\x8c\x0dsklearn.utils\x8c\x09os.system\x93\x8c\x04true\x85R."
    assert names(content) == {"sklearn.utils:os.system"}


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
    found = find_names(io.BytesIO(content), joblib=True)
    assert not found.problem or found.problem.startswith("no pickle that can be read to its end")
    assert found == find_names(io.BytesIO(content), joblib=True), "nothing is left of an answer"
