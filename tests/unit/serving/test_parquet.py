"""What is counted of a Parquet file is what Arrow would make of it."""

import io
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.parquet import Counted, count

COLORS = ["red", "green", None] * 1_000


def written(table: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(table), stream, **options)
    return stream.getvalue()


def counted(body: bytes) -> Counted:
    found = count(body, columns=100, size=2**25)
    assert found is not None
    return found


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_columns_values_and_texts(version: str, compression: str, dictionary: bool) -> None:
    body = written(
        {"n": range(3_000), "c": COLORS, "l": [["one"] * 2] * 3_000},
        compression=compression,
        data_page_version=version,
        use_dictionary=dictionary,
        row_group_size=1_000,
    )
    found = counted(body)
    assert (found.columns, found.values) == (3, 12_000)
    assert found.size >= 8_000 + 18_000


def test_what_pandas_writes() -> None:
    frame = pd.DataFrame({"a": [1.5, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])})
    assert counted(frame.to_parquet())[:2] == (3, 6)
    assert counted(frame.head(0).to_parquet())[:2] == (3, 0)


def test_a_text_counts_wherever_it_stands() -> None:
    texts = ["x" * 1_000] * 5_000
    for table in ({"a": texts}, {"a": [{"b": {"c": each}} for each in texts]}):
        body = written(table)
        assert len(body) < 5_000
        assert counted(body).size >= 5_000_000


def test_what_is_no_file_is_left_to_mlflow() -> None:
    for body in (b"", b"PAR1", b"PAR1 but not really", b"PAR1" + b"\0" * 8 + b"PAR1"):
        assert count(body, columns=10, size=1_000) is None


def test_a_page_that_cannot_be_read_is_an_error() -> None:
    body = bytearray(written({"a": [1.5] * 9}, use_dictionary=False))
    chunk = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0)
    for wrong in (b"\x1d\x1d", b"\xff" * 12, b"\0" * 12):
        broken = bytearray(body)
        broken[chunk.data_page_offset : chunk.data_page_offset + len(wrong)] = wrong
        with pytest.raises(ValueError, match=r"page|number"):
            count(bytes(broken), columns=10, size=1_000_000)
