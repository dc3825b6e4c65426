"""Serialization: nothing is imported at load time that nobody trusted."""

import pytest

from model_release.gates.evidence import Serialization, SerializedFile
from model_release.gates.serialization import Limits, judge

TREE = SerializedFile("model.skops", "skops", ("sklearn.tree._tree.Tree",))
PICKLE = SerializedFile("model.pkl", "pickle", ("posix.system", "numpy.ndarray"))
CODE = SerializedFile("code/net.py", "python")
BINARY = SerializedFile("model.bin", "unknown")
BROKEN = SerializedFile("model.pkl", "pickle", problem="ends in the middle of an opcode")


def _status(
    files: list[SerializedFile], flavors: tuple[str, ...] = ("sklearn",), **limits: object
) -> str:
    return judge(Serialization(flavors, tuple(files)), Limits.model_validate(limits)).status


def test_a_model_without_such_files_passes() -> None:
    assert _status([]) == "passed"
    assert _status([SerializedFile("model.skops", "skops")]) == "passed"


@pytest.mark.parametrize("file", [TREE, PICKLE, CODE, BINARY, BROKEN, SerializedFile("x", "new")])
def test_nothing_is_trusted_by_default(file: SerializedFile) -> None:
    outcome = judge(Serialization(("sklearn",), (file,)), Limits())
    assert outcome.status == "failed"
    assert file.path in outcome.found
    assert all(name in outcome.found for name in file.imports)


@pytest.mark.parametrize(
    ("types", "status"),
    [
        (["posix.system", "numpy.ndarray"], "passed"),
        (["posix.*", "numpy.*"], "passed"),
        (["posix.system"], "failed"),
        (["posix.system", "numpy.nd.*"], "failed"),
        (["pos.*", "numpy.*"], "failed"),
        (["posix.system.*", "numpy.*"], "failed"),
    ],
)
def test_types_are_trusted_by_name_or_by_what_they_lie_below(types: list[str], status: str) -> None:
    assert _status([PICKLE], trusted_types=types) == status


@pytest.mark.parametrize(
    ("types", "status"),
    [(["sklearn.*"], "failed"), (["sklearn.utils:os.system"], "passed")],
)
def test_what_a_module_imported_does_not_lie_below_it(types: list[str], status: str) -> None:
    through = SerializedFile("model.pkl", "pickle", ("sklearn.utils:os.system",))
    assert _status([through], trusted_types=types) == status


def test_every_file_has_to_be_trusted() -> None:
    types = ["sklearn.tree._tree.Tree"]
    assert _status([TREE], trusted_types=types) == "passed"
    assert _status([TREE, PICKLE], trusted_types=types) == "failed"
    assert _status([TREE, CODE], trusted_types=types) == "failed"


def test_a_trusted_flavor_may_run_code_and_the_report_says_so() -> None:
    flavors = ["python_function"]
    evidence = Serialization(("python_function",), (PICKLE, CODE))
    outcome = judge(evidence, Limits(trusted_flavors=tuple(flavors)))
    assert outcome.status == "passed"
    assert outcome.required.endswith("trusted types, or flavors python_function")
    assert outcome.found == (
        "trusted flavor python_function; model.pkl: pickle, imports posix.system, numpy.ndarray; "
        "code/net.py: python code"
    )
    assert _status([PICKLE], ("sklearn", "xgboost"), trusted_flavors=["sklearn"]) == "failed"
    assert _status([PICKLE], (), trusted_flavors=flavors) == "failed"


def test_a_file_that_cannot_be_read_is_never_trusted() -> None:
    assert _status([BROKEN], trusted_flavors=["sklearn"]) == "failed"


def test_long_lists_are_cut() -> None:
    names = tuple(f"a.b{number}" for number in range(8))
    outcome = judge(Serialization(("sklearn",), (SerializedFile("m", "pickle", names),)), Limits())
    assert outcome.found == "m: pickle, imports a.b0, a.b1, a.b2, a.b3, a.b4 and 3 more"
    assert outcome.required == "no code at load time but trusted types"
    few = judge(Serialization(("x",), (SerializedFile("m", "pickle", names[:5]),)), Limits())
    assert few.found == "m: pickle, imports a.b0, a.b1, a.b2, a.b3, a.b4"


@pytest.mark.parametrize("name", ["*", ".*", "numpy*", "numpy.", "", "a b.c", "numpy"])
def test_a_name_that_trusts_everything_or_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="trusted_types"):
        Limits(trusted_types=(name,))
