"""Names and versions: refused before anything is asked of the registry."""

import pytest

from model_release.errors import UsageError
from model_release.registry import check_name, check_version


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a/b", "../etc", "x;id", "$(id)", 'x"; touch pwned; "', "`id`", "-rf", "a\n", "é"],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="model name"):
        check_name(name)


@pytest.mark.parametrize("name", ["iris-classifier", "a", "Fraud_Model.v2", "9lives"])
def test_names_that_are_fine(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("version", ["0", "-1", "1.0", "latest", "1;id", "٣", "1 ", "01"])
def test_versions_that_are_refused(version: str) -> None:
    with pytest.raises(UsageError, match="model version"):
        check_version(version)
