"""A wish for another protocol changes nothing about a request: it is framed and answered as ever.

httptools, as uvicorn uses it, took the body of a request with `Connection: Upgrade` for another
protocol's: lost, or read as the next request. MLflow's app on h11, as MLflow installs it, answers.
"""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import requests

from tests.hostile.proxies import PROXIES
from tests.hostile.serving_processes import ENVIRONMENT, HERE
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("hostile-serving")

BODY = b'{"dataframe_split": {"columns": ["do"], "data": [["a"]]}}'
RIGHT = b'{"predictions": ["a"]}'
CHUNKS = b"2\r\n%b\r\n%x\r\n%b\r\n0\r\n" % (BODY[:2], len(BODY) - 2, BODY[2:])
POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SIZED = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
WEBSOCKET = b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
SEVERAL = b"Connection: Upgrade\r\nUpgrade: foo/1\r\nUpgrade: h2c, bar\r\nConnection: upgrade\r\n"
END = b"\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
CONNECT = b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"

WISHES = {
    "h2c": (POST + H2C + SIZED + END + BODY + LAST,),
    "its body later": (POST + H2C + SIZED + END, BODY, LAST),
    "its body in parts": (POST + H2C + SIZED + END + BODY[:9], BODY[9:] + LAST),
    "a body that is a request": (POST + H2C + b"Content-Length: 31\r\n\r\n", PING + LAST),
    "chunks": (POST + H2C + CHUNKED + END + CHUNKS + END + LAST,),
    "chunks later": (POST + H2C + CHUNKED + END, CHUNKS[:7], CHUNKS[7:] + END + LAST),
    "websocket": (POST + WEBSOCKET + SIZED + END + BODY + LAST,),
    "several": (POST + SEVERAL + SIZED + END + BODY + LAST,),
    "capitals": (POST + H2C.upper() + SIZED + END + BODY, LAST),
    "GET": (PING[:-2] + WEBSOCKET + END + LAST,),
    "GET with a body": (PING[:-2] + H2C + SIZED + END + BODY + LAST,),
    "one after another": (3 * (POST + H2C + SIZED + END + BODY) + LAST,),
    "in pieces": tuple(
        (POST + H2C + SIZED + END + BODY + LAST)[start : start + 13] for start in range(0, 400, 13)
    ),
    "expecting 100": (POST + H2C + SIZED + b"Expect: 100-continue\r\n\r\n", BODY, LAST),
    "HTTP/1.0": (POST.replace(b"/1.1", b"/1.0") + H2C + SIZED + END, BODY),
    "and close": (POST + H2C.replace(b": ", b": close, ", 1) + SIZED + END, BODY + LAST),
    "in trailers": (POST + CHUNKED + END + CHUNKS + H2C + END + LAST,),
    "no wish": (POST + b"Upgrade: h2c\r\n" + SIZED + END + BODY + LAST,),
    "a wish for nothing": (POST + b"Connection: Upgrade\r\n" + SIZED + END + BODY + LAST,),
    "none": (POST + SIZED + END + BODY + LAST,),
}
"""Requests, each in the parts that are read one by one."""

NO_HTTP = {
    "CONNECT": ((CONNECT + LAST,), [400]),
    "CONNECT with a body": ((CONNECT[:-2] + b"Content-Length: 31\r\n\r\n", PING + LAST), [400]),
    "HTTP/2": ((PREFACE,), [400]),
    "CONNECT behind a request": ((POST + H2C + SIZED + END + BODY + CONNECT + LAST,), [200]),
    "HTTP/2 behind a request": ((POST + SIZED + END + BODY + PREFACE,), [200]),
    "anything behind a request": ((POST + SIZED + END + BODY + b"\0\r\n\r\n",), [200]),
}
"""What ends a connection, and the answers until then."""


class Raw(NamedTuple):
    """One answer as it came."""

    status: int
    body: bytes


def exchange(port: int, parts: tuple[bytes, ...]) -> list[Raw]:
    """Every answer to these parts, each sent once the server has read the one before."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own = f"0100007F:{port:04X} 0100007F:{connection.getsockname()[1]:04X}"
        for part in parts:
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):  # it has heard enough
                break
            until(lambda: _is_read(own), seconds=60, every=0.001)
        try:
            while received := connection.recv(65536):
                answer += received
        except ConnectionResetError:
            pass
    return list(_answers(answer))


def _is_read(connection: str) -> bool:
    """Whether the server's end of a connection has no byte that waits in the kernel."""
    for line in Path("/proc/net/tcp").read_text().splitlines():
        if connection in line:
            return line.split()[4].endswith(":00000000")
    return True


def _answers(text: bytes) -> Iterator[Raw]:
    while text:
        head, _, text = text.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        yield Raw(status, text[:length])
        text = text[length:]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """This server, and MLflow's app on h11 and on httptools, over one model."""
    folder = tmp_path_factory.getbasetemp() / "misbehaving"
    command = [sys.executable, str(HERE / "misbehaving_servers.py"), str(folder), "--serve"]
    with subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.communicate(timeout=60)


@pytest.mark.parametrize("name", WISHES)
def test_a_wish_is_ignored_as_by_mlflow_on_h11(ports: dict[str, int], name: str) -> None:
    own, theirs = (exchange(ports[each], WISHES[name]) for each in ("serving", "h11"))
    assert [each.status for each in own] == [each.status for each in theirs]
    assert [each.body for each in own if each.status == 200] == [
        each.body for each in theirs if each.status == 200
    ]
    expected = {"a body that is a request": 0, "GET": 0, "GET with a body": 0}
    right = expected.get(name, 3 if name == "one after another" else 1)
    assert sum(each.body == RIGHT for each in own) == right


@pytest.mark.parametrize("name", ["none", "no wish", "a wish for nothing", "in trailers"])
def test_without_a_wish_it_answers_as_mlflow_on_httptools(ports: dict[str, int], name: str) -> None:
    own, theirs = (exchange(ports[each], WISHES[name]) for each in ("serving", "httptools"))
    assert own == theirs


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_ends_the_connection(ports: dict[str, int], name: str) -> None:
    parts, statuses = NO_HTTP[name]
    assert [each.status for each in exchange(ports["serving"], parts)] == statuses


@pytest.fixture
def addresses(ports: dict[str, int], tmp_path: Path) -> Iterator[list[str]]:
    """The server's address, and that of each proxy in front of it."""
    with ExitStack() as stack:
        found = [ports["serving"]]
        found += [stack.enter_context(run(tmp_path, ports["serving"])) for run in PROXIES.values()]
        yield [f"http://127.0.0.1:{port}/invocations" for port in found]


def _by_curl(address: str) -> bytes:
    command = ["curl", "--silent", "--show-error", "--http2", "--max-time", "60", address]
    command += ["--header", "Content-Type: application/json", "--data-binary", "@-"]
    return subprocess.run(command, input=BODY, check=True, capture_output=True).stdout


def _by_httpx(address: str) -> bytes:
    headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "h2c"}
    return httpx.post(address, content=BODY, headers=headers, timeout=60).content


def _by_requests(address: str) -> bytes:
    headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "h2c"}
    return requests.post(address, iter([BODY[:5], BODY[5:]]), headers=headers, timeout=60).content


@pytest.mark.parametrize("ask", [_by_curl, _by_httpx, _by_requests])
def test_a_client_that_wishes_is_answered(
    addresses: list[str], ask: Callable[[str], bytes]
) -> None:
    assert [ask(address) for address in addresses] == [RIGHT] * len(addresses)


def test_the_jdk_s_client_is_answered(addresses: list[str]) -> None:
    if shutil.which("javac") is None:
        pytest.skip("needs a JDK: openjdk-17-jdk-headless")
    command = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(HERE / "Post.java")]
    done = subprocess.run(
        [*command, BODY.decode(), *addresses], check=True, capture_output=True, timeout=240
    )
    assert done.stdout.splitlines() == [b"200 " + RIGHT] * (2 * len(addresses))
