"""Where an image goes: said by a person, and refused before anything is built."""

import pytest

from model_release import commands
from model_release.errors import UsageError
from model_release.stations.build_image import ImageSettings, build_image


def test_a_suggested_build_waits_for_the_registry() -> None:
    assert commands.station("build", "iris", "2", push=True) == (
        "python scripts/build_image.py --model-name iris --model-version 2 "
        "--image-registry '<host/path>' --push"
    )


@pytest.mark.parametrize(("given", "found"), [("", "none"), ("<host/path>", "<host/path>")])
def test_an_image_that_goes_nowhere_is_refused_first(given: str, found: str) -> None:
    with pytest.raises(UsageError, match=rf"such as ghcr\.io/owner; found {found};"):
        build_image(None, None, None, ImageSettings(given, push=True))  # type: ignore[arg-type]
