"""Settings come from the environment, each checked, each described."""

from dataclasses import fields

import pytest

from serving.errors import WrongUsageError
from serving.settings import Settings, settings_table


def test_nothing_set_or_set_empty_means_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"SERVING_WORKERS": " "}) == Settings()


def test_values_are_read_in_their_type() -> None:
    read = Settings.from_environment(
        {"SERVING_WORKERS": "3", "SERVING_REQUEST_TIMEOUT_SECONDS": "1.5", "OTHER": "x"}
    )
    assert read == Settings(workers=3, request_seconds=1.5)
    assert isinstance(read.workers, int)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SERVING_WORKERS", "0"),
        ("SERVING_WORKERS", "1.5"),
        ("SERVING_WORKERS", "two"),
        ("SERVING_MAX_BODY_BYTES", "-1"),
        ("SERVING_REQUEST_TIMEOUT_SECONDS", "nan"),
        ("SERVING_REQUEST_TIMEOUT_SECONDS", "inf"),
        ("SERVING_LOG_SAMPLE", "-0.1"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(WrongUsageError, match=variable) as refusal:
        Settings.from_environment({variable: text})
    assert repr(text) in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_every_setting_is_described() -> None:
    text = settings_table()
    for setting in fields(Settings):
        assert f"  {setting.metadata['variable']} ({setting.default}): " in text
