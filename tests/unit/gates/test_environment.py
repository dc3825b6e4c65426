"""Environment: locked, installed, and of the base image's Python."""

import dataclasses

import pytest

from model_release.gates.environment import Limits, judge
from model_release.gates.evidence import Environment

GOOD = Environment("3.11.7", "3.11", packages=31, lock_sha256="c" * 64, seconds=2.5)


def test_passes_with_an_environment_of_the_image_s_python() -> None:
    outcome = judge(GOOD, Limits())
    assert outcome.status == "passed"
    assert outcome.found == "31 packages, Python 3.11.7, lock cccccccccccc…, 2.5 s"
    assert outcome.facts == (("packages", 31), ("environment_seconds", 2.5))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"problem": "no package named nothing"}, "no package named nothing"),
        ({"python_logged": "3.10.2"}, "logged with Python 3.10.2, base image 3.11"),
        ({"python_logged": "3.1"}, "logged with Python 3.1, base image 3.11"),
        ({"python_logged": ""}, "logged with Python unknown, base image 3.11"),
        ({"python_image": "3.12"}, "logged with Python 3.11.7, base image 3.12"),
    ],
)
def test_fails_with_the_reason(change: dict[str, str], found: str) -> None:
    outcome = judge(dataclasses.replace(GOOD, **change), Limits())  # type: ignore[arg-type]
    assert (outcome.status, outcome.found) == ("failed", found)
    assert outcome.next_step
