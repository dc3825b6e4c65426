"""A model holds its server's log open, and may make it of any length."""

import os
import tracemalloc
from pathlib import Path

import pytest

from model_release.targets.local.server_process import __main__ as keeper
from model_release.targets.local.slot import ServerProcess

LENGTH = 256 * 2**20
"""Of a file without content, which takes no space before somebody copies it."""


def _long_log(folder: Path) -> Path:
    log = folder / "log"
    with log.open("wb") as file:
        os.ftruncate(file.fileno(), LENGTH)
        file.seek(LENGTH)
        file.write(b"\nerror: what ended it\n")
    return log


def test_the_last_words_of_a_server_cost_little(tmp_path: Path) -> None:
    _long_log(tmp_path)
    tracemalloc.start()
    try:
        assert ServerProcess(tmp_path).last_words() == "error: what ended it"
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def test_of_a_log_that_grew_too_long_the_end_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with _long_log(tmp_path).open("ab") as log:
        monkeypatch.setattr("sys.stderr", log)
        keeper.bound_log()
    kept = (tmp_path / "log.previous").read_bytes()
    assert len(kept) == keeper.LOG_BYTES
    assert kept.endswith(b"error: what ended it\n")
    assert (tmp_path / "log").stat().st_size == 0
