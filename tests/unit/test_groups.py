"""Tests that share a thing share a process: pytest-xdist reads the marks that conftest.py sets."""

import pytest


def test_a_test_belongs_to_its_files_group(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("groups matter to --dist loadgroup alone, as in `make test`")
    assert request.node.nodeid.endswith("@unit/test_groups")
