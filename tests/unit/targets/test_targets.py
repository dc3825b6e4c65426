"""What a target says of a deploy before there is one."""

from pathlib import Path

import pytest

from model_release.errors import UsageError
from model_release.targets import Diff
from model_release.targets.local.target import LocalTarget


@pytest.mark.parametrize(
    ("diff", "words"),
    [
        (Diff(), ""),
        (Diff("-a\n+b", "Deployment iris (2 lines)"), "Deployment iris (2 lines)"),
        (Diff(added=["spec.paused, set by kubectl"]), "spec.paused, set by kubectl"),
        (Diff("-a", "Service iris (1 line)", ["b", "c"]), "Service iris (1 line); b; c"),
    ],
)
def test_what_a_deploy_would_change_in_words(diff: Diff, words: str) -> None:
    assert str(diff) == words


def test_a_machine_needs_nothing_but_the_port_of_an_environment(tmp_path: Path) -> None:
    target = LocalTarget(tmp_path, {"staging": 8181})
    assert target.check("staging", "iris") == "port 8181 of this machine"
    with pytest.raises(UsageError, match="environment 'production'; expected staging"):
        target.check("production", "iris")


def test_nothing_is_found_where_nothing_was_deployed(tmp_path: Path) -> None:
    target = LocalTarget(tmp_path, {"staging": 8181})
    assert target.find("staging", "iris") is None
    assert target.running() == []
    with (
        pytest.raises(UsageError, match="iris in staging; expected a deployed release"),
        target.reach("staging", "iris"),
    ):
        pass
