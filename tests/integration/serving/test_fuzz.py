"""Malformed requests, byte by byte: a documented answer to each, and right answers after.

`SERVING_FUZZ_REQUESTS` sets how many (20,000 for a release of the server itself).
"""

import json
import os
import random
import socket
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("serving-both-servers")

Ports = dict[str, dict[str, int]]
REQUESTS = int(os.environ.get("SERVING_FUZZ_REQUESTS", "600"))
GOOD = {
    "doubles": {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.5, 2, 3]]}},
    "tensor": {"inputs": [[[1.5, 2], [3, 4.25]]]},
    "mixed": {"inputs": {"x": [1]}, "params": {"scale": 2}},
    "unsigned": {"dataframe_records": [{"a": "x", "b": None}]},
}
DOCUMENTED = {200, 400, 404, 405, 408, 411, 413, 415, 422, 429}
TYPES = [
    "application/json",
    "text/csv",
    "application/vnd.apache.parquet",
    "application/json; charset=utf-8",
    "text/plain",
    "\x00",
    "",
]


def mutated(body: bytes, dice: random.Random) -> bytes:
    """`body` with bytes changed, cut, repeated or put elsewhere."""
    data = bytearray(body)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data) + 1)
        action = dice.randrange(5)
        if action == 0:
            data[at : at + 1] = bytes([dice.randrange(256)])
        elif action == 1:
            del data[at : at + dice.randint(1, 8)]
        elif action == 2:
            data[at:at] = data[dice.randrange(len(data) + 1) :][: dice.randint(1, 30)]
        elif action == 3:
            data[at:at] = dice.choice([b"[", b"]", b"{", b"}", b"null", b"1e999", b"NaN", b'"'])
        else:
            data[at:at] = b"9" * dice.randint(1, 400)
    return bytes(data)


def sent(port: int, data: bytes) -> int | None:
    """Status of the answer to raw bytes; None if the server rightly waits or hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
            if b"\r\n" in answer:
                return int(answer.split(b" ", 2)[1])
    return None


def test_mutated_bodies(client: Any, both_servers: Ports) -> None:
    dice = random.Random(8007)
    right = {name: json.dumps(body).encode() for name, body in GOOD.items()}
    before = {
        name: client.send(both_servers[name]["serving"], body) for name, body in right.items()
    }
    for _ in range(REQUESTS):
        name = dice.choice(list(right))
        body = mutated(right[name], dice)
        reply = client.send(
            both_servers[name]["serving"], body, content_type=dice.choice(TYPES[:5])
        )
        assert reply.status in DOCUMENTED, (reply, body)
    for name, body in right.items():
        after = client.send(both_servers[name]["serving"], body)
        assert (after.status, after.body) == (before[name].status, before[name].body)


def test_mutated_requests(client: Any, both_servers: Ports) -> None:
    dice = random.Random(7948)
    port = both_servers["doubles"]["serving"]
    body = json.dumps(GOOD["doubles"]).encode()
    head = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"
    for _ in range(REQUESTS // 4):
        request = head.format(dice.choice(TYPES), len(body)).encode() + body
        status = sent(port, mutated(request, dice))
        assert status is None or status in DOCUMENTED
    assert client.send(port, body).status == 200
