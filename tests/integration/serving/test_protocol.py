"""The differential test: the same requests, over HTTP, to MLflow's scoring app and this server."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.differences import DIFFERENCES, expected
from serving.protocol import Answer

pytestmark = pytest.mark.xdist_group("serving-hosted")

Ports = dict[str, dict[str, int]]
NUMBERS = ["a", "b", "c"]
IRIS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
MIXED = [f"{kind} column" for kind in ("double", "long", "integer", "float", "boolean", "string")]
MIXED_ROW = [1.5, 2, 3, 4.5, True, "five"]
SIGNED = ("doubles", "alone", "mixed", "optional", "dates", "unnamed", "unsigned", "table", "total")
TENSORS = ("tensor", "named-tensors", "linear-tensor")


def same(client: Any, ports: dict[str, int], body: bytes | None, **request: Any) -> int:
    """Send to both, compare; the status is returned so that a test can say what it expects."""
    theirs = client.send(ports["mlflow"], body, **request)
    ours = client.send(ports["serving"], body, **request)
    typed = body is not None and request.get("content_type", "") is not None
    answer = Answer(theirs.status, theirs.body, theirs.content_type.encode())
    wanted = expected(request.get("path", "/invocations"), typed=typed, theirs=answer)
    if request.get("method") == "HEAD":
        wanted = wanted._replace(body=b"")
    assert (ours.status, ours.body, ours.content_type.encode()) == wanted[:3], body
    return ours.status


def split(columns: Any, data: Any, **more: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": data, **more}}


BODIES: dict[str, Any] = {
    "one row": split(NUMBERS, [[1.5, 2.5, -3.5]]),
    "two rows": split(NUMBERS, [[1.5, 2.5, -3.5], [4, 5, 6]]),
    "whole numbers": split(NUMBERS, [[1, 2, 3]]),
    "large numbers": split(NUMBERS, [[2**53 + 1, 2**63, -(2**63)], [2**64, 10**30, -(10**40)]]),
    "too large numbers": split(NUMBERS, [[10**400, 1, 2]]),
    "nulls": split(NUMBERS, [[None, 2.5, 1], [None, None, 3.5]]),
    "booleans": split(NUMBERS, [[True, False, True], [1.5, 2, None]]),
    "only booleans": split(NUMBERS, [[True, False, True]]),
    "numbers as text": split(NUMBERS, [["1.5", "2", "3e1"]]),
    "text": split(NUMBERS, [["x", 2, 3]]),
    "lists": split(NUMBERS, [[[1], [2], [3]]]),
    "ragged": split(NUMBERS, [[1, 2, 3], [4, 5]]),
    "short": split(NUMBERS, [[1, 2]]),
    "no rows": split(NUMBERS, []),
    "empty row": split(NUMBERS, [[]]),
    "a flat row": split(NUMBERS, [1, 2, 3]),
    "a row that is text": split(NUMBERS, ["abc"]),
    "other order": split(["c", "a", "b"], [[3.5, 1.5, 2.5], [6, 4, 5]]),
    "one too many": split(["a", "b", "c", "d"], [[1, 2, 3, 4]]),
    "one missing": split(["a", "b"], [[1, 2]]),
    "twice the same": split(["a", "b", "b"], [[1, 2, 3]]),
    "twice the same and all": split(["a", "b", "c", "c"], [[1, 2, 3, 4]]),
    "no names": {"dataframe_split": {"data": [[1.5, 2.5, 3.5]]}},
    "numbered": split([0, 1, 2], [[1, 2, 3]]),
    "null columns": split(None, [[1, 2, 3]]),
    "index": split(NUMBERS, [[1, 2, 3], [4, 5, 6]], index=[0, 1]),
    "other index": split(NUMBERS, [[1, 2, 3], [4, 5, 6]], index=[7, 8]),
    "named index": split(NUMBERS, [[1, 2, 3]], index=["x"]),
    "wrong index": split(NUMBERS, [[1, 2, 3]], index=[0, 1]),
    "unknown key in split": split(NUMBERS, [[1, 2, 3]], extra=1),
    "split is a list": {"dataframe_split": [1, 2]},
    "split is null": {"dataframe_split": None},
    "no data": {"dataframe_split": {"columns": NUMBERS}},
    "records": {"dataframe_records": [{"a": 1.5, "b": 2, "c": None}]},
    "records in another order": {"dataframe_records": [{"c": 3, "b": 2, "a": 1}]},
    "different records": {"dataframe_records": [{"a": 1, "b": 2, "c": 3}, {"a": 4, "b": 5}]},
    "more in a record": {"dataframe_records": [{"a": 1, "b": 2, "c": 3, "d": 4}]},
    "no records": {"dataframe_records": []},
    "records is an object": {"dataframe_records": {"a": 1}},
    "records of lists": {"dataframe_records": [[1, 2, 3]]},
    "records of text": {"dataframe_records": ["abc"]},
    "records is text": {"dataframe_records": "abc"},
    "inputs by column": {"inputs": {"a": [1.5], "b": [2.5], "c": [3.5]}},
    "inputs by row": {"inputs": [{"a": 1.5, "b": 2.5, "c": 3.5}]},
    "inputs of scalars": {"inputs": {"a": 1.5, "b": 2.5, "c": 3.5}},
    "inputs as array": {"inputs": [[1.5, 2.5, 3.5]]},
    "inputs as number": {"inputs": 3},
    "inputs as text": {"inputs": "text"},
    "inputs null": {"inputs": None},
    "no inputs": {"inputs": []},
    "instances by row": {"instances": [{"a": 1.5, "b": 2.5, "c": 3.5}]},
    "instances as array": {"instances": [[1.5, 2.5, 3.5], [1, 2, 3]]},
    "uneven instances": {"instances": [{"a": 1.5, "b": 2.5}, {"a": 1.5, "c": 3.5}]},
    "two formats": {"inputs": [1], "instances": [1]},
    "split and records": {**split(NUMBERS, [[1, 2, 3]]), "dataframe_records": []},
    "signature name": {"inputs": [1], "signature_name": "x"},
    "another key": {**split(NUMBERS, [[1, 2, 3]]), "extra": 1},
    "empty object": {},
    "unknown format": {"data": [[1, 2, 3]]},
    "params": {**split(NUMBERS, [[1, 2, 3]]), "params": {"scale": 2}},
    "params null": {**split(NUMBERS, [[1, 2, 3]]), "params": None},
    "params list": {**split(NUMBERS, [[1, 2, 3]]), "params": [1]},
    "chat": {"messages": [{"role": "user", "content": "hello"}]},
    "prompt": {"prompt": "hello", "a": 1},
    "embeddings": {"input": ["x"], "scale": 3},
    "model raises": split(NUMBERS, [[666, 2, 3]]),
    "model refuses": split(NUMBERS, [[667, 2, 3]]),
    "mixed": split(MIXED, [MIXED_ROW, MIXED_ROW]),
    "mixed records": {"dataframe_records": [dict(zip(MIXED, MIXED_ROW, strict=True))]},
    "mixed in another order": split(MIXED[::-1], [MIXED_ROW[::-1]]),
    "mixed with null text": split(MIXED, [[*MIXED_ROW[:5], None]]),
    "mixed with half a character": split(MIXED, [[*MIXED_ROW[:5], "\ud800"]]),
    "mixed with fraction": split(MIXED, [[1.5, 2.7, 3, 4.5, True, "x"]]),
    "mixed with large integer": split(MIXED, [[1.5, 2, 2**40, 4.5, True, "x"]]),
    "mixed with larger integer": split(MIXED, [[1.5, 2**63, 3, 4.5, True, "x"]]),
    "mixed with large float": split(MIXED, [[1.5, 2, 3, 1e300, True, "x"]]),
    "mixed with 0 for no": split(MIXED, [[1.5, 2, 3, 4.5, 0, "x"]]),
    "mixed with null for no": split(MIXED, [[1.5, 2, 3, 4.5, None, "x"]]),
    "mixed with number for text": split(MIXED, [[1.5, 2, 3, 4.5, True, 6]]),
    "mixed with params": {
        **split(MIXED, [MIXED_ROW]),
        "params": {"scale": 2, "tag": "x", "unknown": 1},
    },
    "mixed with wrong params": {**split(MIXED, [MIXED_ROW]), "params": {"scale": "x"}},
    "mixed with empty params": {**split(MIXED, [MIXED_ROW]), "params": {}},
    "dates": split(["when", "raw"], [["2026-01-02T03:04:05", base64.b64encode(b"x").decode()]]),
    "no dates": split(["when", "raw"], [["yesterday", "!"]]),
    "proba": split(["proba"], [[0.25], [1], [None]]),
    "total": split(["total"], [[0.25], [1]]),
    "unnamed": split(["x", "y"], [[1.5, 2]]),
    "tensor": {"inputs": [[[1.5, 2], [3, 4.25]]]},
    "tensor instances": {"instances": [[[1.5, 2], [3, 4.25]], [[1, 2], [3, 4]]]},
    "tensor of text": {"inputs": [[["1.5", "2"], ["3", "4"]]]},
    "tensor of null": {"inputs": [[[None, 2], [3, 4]]]},
    "tensor of booleans": {"inputs": [[[True, 2], [3, 4]]]},
    "tensor too deep": {"inputs": [[[[1.5, 2], [3, 4.25]]]]},
    "tensor of another shape": {"inputs": [[[1.5, 2, 3], [3, 4.25, 3]]]},
    "ragged tensor": {"inputs": [[[1.5, 2], [3]]]},
    "tensor with large numbers": {"inputs": [[[1e300, 2**64], [10**400, 4]]]},
    "named tensors": {"inputs": {"x": [[1, 2]], "n": [3]}},
    "named tensors by row": {"instances": [{"x": [1, 2], "n": 3}]},
    "named tensors, one missing": {"inputs": {"x": [[1, 2]]}},
    "four numbers": {"inputs": [[5.1, 3.5, 1.4, 0.2], [7, 3, 4, 1]]},
    "iris": split(IRIS, [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6, 2.5]]),
    "iris with null": split(IRIS, [[5.1, None, 1.4, 0.2]]),
}
RAW: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a number": b"1",
    "a list": b"[[1, 2]]",
    "cut off": b'{"dataframe_split": {"columns": ["a"',
    "not UTF-8": b'{"dataframe_split": "\xff\xfe"}',
    "UTF-16": json.dumps(split(NUMBERS, [[1, 2, 3]])).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(split(NUMBERS, [[1, 2, 3]])).encode(),
    "NaN": b'{"dataframe_records": [{"a": NaN, "b": Infinity, "c": -Infinity}]}',
    "negative zero": b'{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[-0, -0.0, 0]]}}',
    "1e999": b'{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1e999, 1e-999, 1]]}}',
    "same key twice": b'{"inputs": [1], "inputs": {"a": [1], "b": [2], "c": [3]}}',
    "deep": b'{"inputs": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    "too deep": b'{"inputs": ' + b"[" * 200000 + b"]" * 200000 + b"}",
}
CSV = {
    "csv": b"a,b,c\n1.5,2.5,3.5\n4,5,6\n",
    "csv in another order": b"c,b,a\n1,2,3\n",
    "csv with text": b"a,b,c\nx,2,3\n",
    "csv with holes": b"a,b,c\n,2,3\n",
    "csv without rows": b"a,b,c\n",
    "csv, ragged": b"a,b,c\n1,2\n1,2,3,4\n",
    "csv, empty": b"",
    "csv, not UTF-8": b"a,b,c\n\xff,2,3\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_json_bodies_get_the_same_answer(client: Any, hosted: Ports, body: Any) -> None:
    for model in (*SIGNED, *TENSORS):
        same(client, hosted[model], json.dumps(body).encode())


@pytest.mark.parametrize("body", RAW.values(), ids=RAW.keys())
@pytest.mark.parametrize("model", ["doubles", "tensor", "unsigned"])
def test_raw_bodies_get_the_same_answer(client: Any, hosted: Ports, model: str, body: Any) -> None:
    same(client, hosted[model], body)


@pytest.mark.parametrize("body", CSV.values(), ids=CSV.keys())
@pytest.mark.parametrize("model", ["doubles", "mixed", "unsigned", "linear-tensor"])
def test_csv_gets_the_same_answer(client: Any, hosted: Ports, model: str, body: Any) -> None:
    same(client, hosted[model], body, content_type="text/csv")


@pytest.mark.parametrize("model", ["doubles", "unsigned", "tensor"])
def test_parquet_gets_the_same_answer(client: Any, hosted: Ports, model: str) -> None:
    stream = io.BytesIO()
    pd.DataFrame({"a": [1.5, 2], "b": [3, 4], "c": [5, 6.5]}).to_parquet(stream)
    kind = "application/vnd.apache.parquet"
    same(client, hosted[model], stream.getvalue(), content_type=kind)
    assert same(client, hosted[model], b"PAR1 but not really", content_type=kind) == 400


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("application/json;charset=UTF-8", 200),
        ("application/json; charset=utf8", 415),
        ("application/json; charset=latin-1", 415),
        ('application/json; charset="utf-8"', 415),
        ("application/json; profile=x", 415),
        ("application/json;", 415),
        ("Application/JSON", 415),
        ("text/plain", 415),
        ("", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        (None, 415),
    ],
)
def test_content_types(client: Any, hosted: Ports, content_type: str | None, status: int) -> None:
    body = json.dumps(BODIES["one row"]).encode()
    assert same(client, hosted["doubles"], body, content_type=content_type) == status


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        *("/ping", "/health", "/version", "/invocations", "/", "/nope", "/invocations/x", "//ping"),
        *("/docs", "/redoc", "/openapi.json", "/ping/", "/invocations/", "/ping?x=1", "/%70ing"),
    ],
)
def test_paths_and_methods(client: Any, hosted: Ports, path: str, method: str) -> None:
    if (method, path) == ("POST", "/invocations"):
        pytest.skip("that is every other test")
    same(client, hosted["doubles"], None, path=path, method=method)


def test_an_answer_that_cannot_be_written_stays_a_server_error(client: Any, hosted: Ports) -> None:
    body = json.dumps(BODIES["one row"]).encode()
    for ports in (hosted["unwritable"]["mlflow"], hosted["unwritable"]["serving"]):
        reply = client.send(ports, body)
        assert (reply.status, reply.body) == (500, b"Internal Server Error")


def test_no_answer_shows_the_models_code_or_its_words(client: Any, hosted: Ports) -> None:
    for text in (BODIES["model raises"], BODIES["model refuses"], BODIES["text"]):
        reply = client.send(hosted["doubles"]["serving"], json.dumps(text).encode())
        assert reply.status in (400, 500)
        assert b"own words" not in reply.body
        assert b"Traceback" not in reply.body


@pytest.mark.parametrize("model", ["logistic", "forest", "pickled", "linear-tensor"])
def test_trained_models_answer_their_example(
    client: Any, hosted: Ports, contexts: Path, model: str
) -> None:
    example = (contexts / model / "model" / "serving_input_example.json").read_bytes()
    assert same(client, hosted[model], example) == 200


def test_the_table_of_differences_has_no_rule_that_never_applies() -> None:
    applied = [
        ("/invocations", True, Answer(400, b'{"message": "x", "stack_trace": "y"}')),
        ("/invocations", False, Answer(500, b"Internal Server Error")),
        ("/invocations", True, Answer(500, b"Internal Server Error")),
        ("/docs", False, Answer(200, b"<html>")),
        ("/ping/", False, Answer(307, b"")),
    ]
    for difference, (path, typed, theirs) in zip(DIFFERENCES, applied, strict=True):
        assert difference.rewrite(path, typed, theirs) not in (None, theirs), difference.what


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
CELLS = (
    st.floats()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, True, None, "1", "x", 1.5, -0.0, 2**53 + 1, 666])
)
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=3)
MIXED_ROWS = st.lists(
    st.tuples(CELLS, st.integers(-(2**63), 2**63), st.integers(-(2**31), 2**31), CELLS)
    .flatmap(lambda four: st.tuples(*map(st.just, four), st.booleans(), st.text(max_size=4)))
    .map(list),
    min_size=1,
    max_size=3,
)
WELL_FORMED = st.one_of(
    st.builds(split, st.permutations(NUMBERS), ROWS),
    st.builds(split, st.just(MIXED), MIXED_ROWS),
    ROWS.map(
        lambda rows: {"dataframe_records": [dict(zip(NUMBERS, r, strict=True)) for r in rows]}
    ),
    ROWS.map(lambda rows: {"inputs": rows}),
    st.lists(
        st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=2, max_size=2), max_size=2
    ).map(lambda rows: {"instances": rows}),
)
MALFORMED = st.dictionaries(
    st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "instances", "params", "x"]),
    JSON_VALUES | st.fixed_dictionaries({"columns": JSON_VALUES, "data": JSON_VALUES}),
    max_size=2,
)
HYPOTHESIS = settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@HYPOTHESIS
@given(body=WELL_FORMED, model=st.sampled_from(["doubles", "mixed", "tensor", "unsigned", "table"]))
def test_generated_rows_get_the_same_answer(
    client: Any, hosted: Ports, body: Any, model: str
) -> None:
    same(client, hosted[model], json.dumps(body).encode())


@HYPOTHESIS
@given(
    body=MALFORMED | JSON_VALUES, model=st.sampled_from(["doubles", "mixed", "tensor", "unsigned"])
)
def test_generated_nonsense_gets_the_same_answer(
    client: Any, hosted: Ports, body: Any, model: str
) -> None:
    same(client, hosted[model], json.dumps(body).encode())
