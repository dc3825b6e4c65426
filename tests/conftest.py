"""Which tests share a process: those of a file, and all that share a thing such as the cluster."""

from pathlib import Path

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.week_of_releases")
settings.register_profile("any machine", deadline=None)  # how fast it is, is no test's business
settings.load_profile("any machine")

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks, and after the folders below this
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test belongs to the group of its file, unless it is marked `xdist_group` already.

    The fixtures of a module are then made once, and what shares one thing never runs side by side.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            group = item.path.relative_to(HERE).with_suffix("")
            item.add_marker(pytest.mark.xdist_group(str(group)))
