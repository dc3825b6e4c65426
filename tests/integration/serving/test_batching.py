"""Merged requests: each caller gets its own answer, whatever its neighbours send."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("serving-both-servers")

Ports = dict[str, dict[str, int]]
CALLERS = 24


def metric(client: Any, port: int, line: str) -> float:
    """One value of GET /metrics, by the beginning of its line."""
    text = client.send(port, path="/metrics").body.decode()
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    assert found, f"{line} is not in {text}"
    return float(found[1])


def at_once(new_client: Any, port: int, requests: list[bytes]) -> list[Any]:
    """The replies to `requests`, sent from as many connections at the same moment."""
    together = threading.Barrier(min(CALLERS, len(requests)))

    def caller(share: list[bytes]) -> list[Any]:
        own = new_client()
        together.wait(timeout=30)
        return [own.send(port, body) for body in share]

    shares = [requests[i::CALLERS] for i in range(min(CALLERS, len(requests)))]
    replies: list[Any] = [None] * len(requests)
    with ThreadPoolExecutor(CALLERS) as pool:
        for i, share in enumerate(pool.map(caller, shares)):
            replies[i::CALLERS] = share
    return replies


def body(*rows: list[Any], columns: str = "abc") -> bytes:
    return json.dumps({"dataframe_split": {"columns": list(columns), "data": rows}}).encode()


@pytest.mark.long
def test_distinct_rows_under_load_get_the_answers_they_get_alone(
    client: Any, new_client: Any, both_servers: Ports
) -> None:
    ports = both_servers["doubles"]
    requests = [body(*[[i + 0.25, j, -i] for j in range(i % 3 + 1)]) for i in range(CALLERS * 20)]
    before = metric(client, ports["serving"], "serving_batch_requests_count")
    replies = at_once(new_client, ports["serving"], requests)
    predictions = metric(client, ports["serving"], "serving_batch_requests_count") - before
    assert predictions < len(requests), "nothing was merged"
    alone = [client.send(ports["serving"], each).body for each in requests]
    assert [reply.body for reply in replies] == alone
    assert alone[7] == client.send(ports["mlflow"], requests[7]).body


def test_bad_requests_do_not_spoil_their_neighbours(
    client: Any, new_client: Any, both_servers: Ports
) -> None:
    ports = both_servers["doubles"]
    kinds = [
        body([1.5, 2, 3]),
        body([666, 2, 3]),
        body([667, 2, 3]),
        body([1, 2]),
        body(["x", 2, 3]),
        b"{",
        body([None, 2, 3], [4, 5, 6]),
        json.dumps({"dataframe_records": [{"a": 1, "b": 2, "c": 3}]}).encode(),
        json.dumps({"inputs": {"a": [9], "b": [8], "c": [7.5]}}).encode(),
    ]
    alone = [client.send(ports["serving"], each) for each in kinds]
    assert [reply.status for reply in alone] == [200, 400, 500, 400, 400, 400, 200, 200, 200]
    for reply, request in zip(
        at_once(new_client, ports["serving"], kinds * 20), kinds * 20, strict=True
    ):
        assert reply.body == alone[kinds.index(request)].body
        assert reply.status == alone[kinds.index(request)].status


def test_a_model_that_ends_the_process_only_fails_its_request(
    client: Any, both_servers: Ports
) -> None:
    port = both_servers["doubles"]["serving"]
    assert client.send(port, body([668, 1, 1])).status == 500
    assert client.send(port, body([1, 1, 1])).status == 200


def test_a_table_is_split_by_rows(new_client: Any, both_servers: Ports) -> None:
    port = both_servers["table"]["serving"]
    requests = [body([i], [i + 1], columns=["proba"]) for i in range(CALLERS * 4)]
    for i, reply in enumerate(at_once(new_client, port, requests)):
        first, second = {"p": float(i), "odd": i % 2 == 1}, {"p": i + 1.0, "odd": i % 2 == 0}
        assert reply.json() == {"predictions": [first, second]}


def test_an_answer_that_is_not_one_item_a_row_is_never_split(
    new_client: Any, both_servers: Ports
) -> None:
    port = both_servers["total"]["serving"]
    requests = [body([i], [1], columns=["total"]) for i in range(CALLERS * 4)]
    replies = at_once(new_client, port, requests)
    assert [reply.json() for reply in replies] == [
        {"predictions": i + 1.0} for i in range(CALLERS * 4)
    ]


def test_nothing_is_merged_where_the_release_did_not_allow_it(
    client: Any, new_client: Any, both_servers: Ports
) -> None:
    port = both_servers["alone"]["serving"]
    requests = [body([i, 0, 0]) for i in range(CALLERS * 4)]
    before = metric(client, port, "serving_batch_requests_count")
    replies = at_once(new_client, port, requests)
    assert [reply.status for reply in replies] == [200] * len(requests)
    assert metric(client, port, "serving_batch_requests_count") - before == len(requests)


def test_metrics_tell_outcomes_stages_and_the_model(client: Any, both_servers: Ports) -> None:
    port = both_servers["mixed"]["serving"]
    ok = 'serving_requests_total{status="200"}'
    bad = 'serving_requests_total{status="415"}'
    client.send(port, b"x", content_type="text/plain")
    counts = metric(client, port, ok), metric(client, port, bad)
    row = {"inputs": {f"{k} column": [1] for k in ("double", "long", "integer", "float")}}
    client.send(port, json.dumps(row).encode())
    client.send(port, b"x", content_type="text/plain")
    assert metric(client, port, bad) == counts[1] + 1
    for stage in ("wait", "parse", "predict", "serialize", "total"):
        assert metric(client, port, f'serving_stage_seconds_count{{stage="{stage}"}}') >= 1
    digest = "sha256:" + "0" * 64
    labels = f'digest="{digest}",name="mixed",release="release-of-mixed",version="7"'
    assert metric(client, port, f"serving_model_info{{{labels}}}") == 1
    assert client.send(port, path="/model").json() == {
        "name": "mixed",
        "version": "7",
        "digest": digest,
        "release": "release-of-mixed",
    }
