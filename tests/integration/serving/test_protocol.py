"""The differential test: the same requests, over HTTP, to MLflow's scoring app and this server."""

import io
import json
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.protocol import Answer
from tests.integration.serving.bodies import BODIES, CSV, MIXED, NUMBERS, RAW, split
from tests.integration.serving.differences import DIFFERENCES, expected

pytestmark = pytest.mark.xdist_group("serving-both-servers")

Ports = dict[str, dict[str, int]]
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


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_json_bodies_get_the_same_answer(client: Any, both_servers: Ports, body: Any) -> None:
    for model in (*SIGNED, *TENSORS):
        same(client, both_servers[model], json.dumps(body).encode())


@pytest.mark.parametrize("body", RAW.values(), ids=RAW.keys())
@pytest.mark.parametrize("model", ["doubles", "tensor", "unsigned"])
def test_raw_bodies_get_the_same_answer(
    client: Any, both_servers: Ports, model: str, body: Any
) -> None:
    same(client, both_servers[model], body)


@pytest.mark.parametrize("body", CSV.values(), ids=CSV.keys())
@pytest.mark.parametrize("model", ["doubles", "mixed", "unsigned", "linear-tensor"])
def test_csv_gets_the_same_answer(client: Any, both_servers: Ports, model: str, body: Any) -> None:
    same(client, both_servers[model], body, content_type="text/csv")


@pytest.mark.parametrize("model", ["doubles", "unsigned", "tensor"])
def test_parquet_gets_the_same_answer(client: Any, both_servers: Ports, model: str) -> None:
    stream = io.BytesIO()
    pd.DataFrame({"a": [1.5, 2], "b": [3, 4], "c": [5, 6.5]}).to_parquet(stream)
    kind = "application/vnd.apache.parquet"
    same(client, both_servers[model], stream.getvalue(), content_type=kind)
    assert same(client, both_servers[model], b"PAR1 but not really", content_type=kind) == 400


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
def test_content_types(
    client: Any, both_servers: Ports, content_type: str | None, status: int
) -> None:
    body = json.dumps(BODIES["one row"]).encode()
    assert same(client, both_servers["doubles"], body, content_type=content_type) == status


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
PATHS = (
    *("/ping", "/health", "/version", "/invocations", "/", "/nope", "/invocations/x", "//ping"),
    *("/docs", "/redoc", "/openapi.json", "/ping/", "/invocations/", "/ping?x=1", "/%70ing"),
)


@pytest.mark.parametrize(
    ("path", "method"),
    [pair for pair in product(PATHS, METHODS) if pair != ("/invocations", "POST")],
)
def test_paths_and_methods(client: Any, both_servers: Ports, path: str, method: str) -> None:
    same(client, both_servers["doubles"], None, path=path, method=method)


def test_an_answer_that_cannot_be_written_stays_a_server_error(
    client: Any, both_servers: Ports
) -> None:
    body = json.dumps(BODIES["one row"]).encode()
    for ports in (both_servers["unwritable"]["mlflow"], both_servers["unwritable"]["serving"]):
        reply = client.send(ports, body)
        assert (reply.status, reply.body) == (500, b"Internal Server Error")


def test_no_answer_shows_the_models_code_or_its_words(client: Any, both_servers: Ports) -> None:
    for text in (BODIES["model raises"], BODIES["model refuses"], BODIES["text"]):
        reply = client.send(both_servers["doubles"]["serving"], json.dumps(text).encode())
        assert reply.status in (400, 500)
        assert b"own words" not in reply.body
        assert b"Traceback" not in reply.body


@pytest.mark.parametrize("model", ["logistic", "forest", "pickled", "linear-tensor"])
def test_trained_models_answer_their_example(
    client: Any, both_servers: Ports, contexts: Path, model: str
) -> None:
    example = (contexts / model / "model" / "serving_input_example.json").read_bytes()
    assert same(client, both_servers[model], example) == 200


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
    client: Any, both_servers: Ports, body: Any, model: str
) -> None:
    same(client, both_servers[model], json.dumps(body).encode())


@HYPOTHESIS
@given(
    body=MALFORMED | JSON_VALUES, model=st.sampled_from(["doubles", "mixed", "tensor", "unsigned"])
)
def test_generated_nonsense_gets_the_same_answer(
    client: Any, both_servers: Ports, body: Any, model: str
) -> None:
    same(client, both_servers[model], json.dumps(body).encode())
