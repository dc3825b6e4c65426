"""Holdouts: fetched, checked, read in batches, refused in one line."""

import datetime
import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto import mock_aws
from pyarrow import csv

from model_release.config import Holdout
from model_release.digest import file_sha256
from model_release.errors import OutsideError, ReleaseError, UsageError
from model_release.measurement.holdout import HoldoutData, open_holdout

UTC = datetime.UTC
TABLE = pa.table(
    {
        "number": pa.array([1.5, 2.5, None]),
        "whole": pa.array([1, 2, 3]),
        "gaps": pa.array([1, None, 3]),
        "text": pa.array(["a", None, "ü"]),
        "category": pa.array(["x", "y", "x"]).dictionary_encode(),
        "day": pa.array([datetime.date(2026, 1, day) for day in (1, 2, 3)]),
        "time": pa.array([datetime.datetime(2026, 1, 1, 12, tzinfo=UTC)] * 3),
        "price": pa.array([decimal.Decimal("1.25")] * 3),
        "truth": pa.array([0, 1, 0]),
    }
)


def no_fetch(uri: str, folder: Path) -> Path:
    raise AssertionError(f"{uri} fetched into {folder}")


def write(table: pa.Table, path: Path) -> Path:
    if path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        pq.write_table(table, path, row_group_size=64)
    return path


def opened(path: Path, slices: tuple[str, ...] = (), **changes: Any) -> HoldoutData:
    settings = {"uri": path.name, "target": "truth", "task": "classification", **changes}
    if "sha256" not in settings:
        settings["sha256"] = file_sha256(path)
    return open_holdout(Holdout(**settings), path.parent, no_fetch, path.parent / "cache", slices)


def test_columns_are_all_but_the_truth_and_what_is_dropped(tmp_path: Path) -> None:
    data = opened(write(TABLE, tmp_path / "a.parquet"), drop=("gaps", "text"), slices=("text",))
    assert data.columns == ("number", "whole", "category", "day", "time", "price")
    (batch,) = opened(tmp_path / "a.parquet", drop=("text",), slices=("text",)).batches()
    assert batch.slices[0].tolist() == ["a", None, "ü"]


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_file_that_is_replaced_while_it_is_read_is_refused(tmp_path: Path, name: str) -> None:
    table = pa.table({"x": [1, 2, 3], "truth": [0, 1, 0]})
    data = opened(write(table, tmp_path / name), batch_rows=1)
    batches = data.batches()
    next(batches)
    write(table, tmp_path / f"other-{name}").replace(tmp_path / name)
    with pytest.raises(UsageError, match="found a change after its SHA-256 was checked"):
        next(batches)


def test_parquet_values_are_what_pandas_would_make_of_them(tmp_path: Path) -> None:
    data = opened(write(TABLE, tmp_path / "a.parquet"))
    (batch,) = data.batches()
    values = dict(zip(data.columns, batch.features, strict=True))
    assert values["number"].tolist()[:2] == [1.5, 2.5]
    assert np.isnan(values["number"][2])
    assert (values["whole"].dtype, values["whole"].tolist()) == (np.int64, [1, 2, 3])
    assert values["gaps"].dtype == np.float64
    assert values["text"].tolist() == ["a", None, "ü"]
    assert values["category"].tolist() == ["x", "y", "x"]
    assert values["day"][0] == np.datetime64("2026-01-01")
    assert values["time"][0] == np.datetime64("2026-01-01T12:00")
    assert values["price"].tolist() == [1.25] * 3
    assert batch.truth.tolist() == [0, 1, 0]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("batch_rows", [1, 7, 100, 1000])
def test_each_row_is_read_once_in_order(tmp_path: Path, suffix: str, batch_rows: int) -> None:
    numbers = pa.array(range(100))
    table = pa.table({"x": numbers, "truth": numbers})
    data = opened(write(table, tmp_path / f"a.{suffix}"), batch_rows=batch_rows)
    batches = list(data.batches())
    assert all(len(batch.truth) <= batch_rows for batch in batches)
    assert np.concatenate([batch.truth for batch in batches]).tolist() == list(range(100))
    assert np.concatenate([batch.features[0] for batch in batches]).tolist() == list(range(100))


def _gone(path: Path) -> HoldoutData:
    return opened(path.with_name("gone.parquet"), sha256="0" * 64)


def _changed(path: Path) -> HoldoutData:
    return opened(path, sha256="0" * 64)


def _no_target(path: Path) -> HoldoutData:
    return opened(path, target="label")


def _no_slice(path: Path) -> HoldoutData:
    return opened(path, slices=("region",))


def _no_parquet(path: Path) -> HoldoutData:
    path.write_text("a,truth\n1,2\n")
    return opened(path)


def _cut_off(path: Path) -> HoldoutData:
    path.write_bytes(path.read_bytes()[:-10])
    return opened(path)


def _empty(path: Path) -> HoldoutData:
    return opened(write(TABLE.slice(0, 0), path))


def _gaps_in_truth(path: Path) -> HoldoutData:
    return opened(path, target="gaps")


def _no_text(path: Path) -> HoldoutData:
    path = path.with_suffix(".csv")
    path.write_bytes(b"x,truth\n1\n")
    return opened(path)


def _nothing(path: Path) -> HoldoutData:
    path = path.with_suffix(".csv")
    path.touch()
    return opened(path)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_gone, "holdout gone.parquet; expected a readable file; found No such file or directory"),
        (_changed, f"holdout a.parquet; expected SHA-256 {'0' * 64}; found "),
        (_no_target, "column 'label' of holdout a.parquet; expected a column of the file"),
        (_no_slice, "column 'region' of holdout a.parquet; expected a column of the file"),
        (_no_parquet, "holdout a.parquet; expected a readable parquet file; found Parquet magic"),
        (_cut_off, "holdout a.parquet; expected a readable parquet file; found "),
        (_empty, "holdout a.parquet; expected rows; found none"),
        (_gaps_in_truth, "target column 'gaps' of holdout a.parquet; expected a value in every"),
        (_no_text, "holdout a.csv; expected a readable csv file; found CSV parse error"),
        (_nothing, "holdout a.csv; expected a readable csv file; found Empty CSV file"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], HoldoutData], text: str
) -> None:
    write(TABLE, tmp_path / "a.parquet")
    with pytest.raises(UsageError) as caught:
        list(spoil(tmp_path / "a.parquet").batches())
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def _fetching(source: Path) -> Callable[[str, Path], Path]:
    def fetch(uri: str, folder: Path) -> Path:
        assert uri == "runs:/1/a.parquet"
        path = folder / "a.parquet"
        path.write_bytes(source.read_bytes())
        return path

    return fetch


def test_artifacts_of_runs_are_fetched_once(tmp_path: Path) -> None:
    source = write(TABLE, tmp_path / "a.parquet")
    spec = Holdout(
        uri="runs:/1/a.parquet",
        sha256=file_sha256(source),
        target="truth",
        task="classification",
    )
    cache = tmp_path / "cache"
    first = open_holdout(spec, tmp_path, _fetching(source), cache)
    again = open_holdout(spec, tmp_path, no_fetch, cache)
    assert first == again
    assert [path.name for path in cache.iterdir()] == [spec.sha256]


def test_a_fetch_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def full(uri: str, folder: Path) -> Path:
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device", uri)

    spec = Holdout(uri="runs:/1/a.csv", sha256="0" * 64, target="t", task="regression")
    with pytest.raises(OutsideError, match="No space left on device"):
        open_holdout(spec, tmp_path, full, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="data")
        yield client


def test_s3_is_read(tmp_path: Path, bucket: Any) -> None:
    path = write(TABLE, tmp_path / "a.parquet")
    bucket.upload_file(str(path), "data", "holdouts/a.parquet")
    data = opened(path, uri="s3://data/holdouts/a.parquet")
    assert sum(len(batch.truth) for batch in data.batches()) == 3
    with pytest.raises(ReleaseError, match=r"holdout s3://data/b.parquet cannot be fetched") as no:
        opened(path, uri="s3://data/b.parquet", sha256="1" * 64)
    assert no.value.exit_code == 3
