"""The smoke suite against servers that are wrong in one way each: only that check says no."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from model_release import smoke
from model_release.answers import Tolerances
from model_release.errors import OutsideError, UsageError
from model_release.identity import Identity
from model_release.smoke import Budget, Check, ask_identity, check_server
from tests.ports import free_port

IDENTITY = Identity("iris", "3", "sha256:" + "a" * 64, "f" * 32)
CASE = {
    "name": "input example",
    "request": {"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.0]]}},
    "predictions": [0.25, 0.75],
}
NAMES = ["/ping", "/health", "/version", "/model", "golden: input example", "malformed body"]
NAMES += ["missing columns", "latency"]


@dataclass
class Behaviour:
    """What a server does; the defaults are right."""

    model: Any = field(default_factory=lambda: {"name": "iris", **_told(IDENTITY)})
    statuses: dict[str, int] = field(default_factory=dict)
    predictions: Any = (0.25, 0.75)
    refusal: int = 400
    seconds: float = 0.0


def _told(identity: Identity) -> dict[str, str]:
    names = ("version", "digest", "release")
    return {name: getattr(identity, name) for name in names}


def _handler(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer

        def do_GET(self) -> None:
            body = behaviour.model if self.path == "/model" else "ok"
            self._answer(behaviour.statuses.get(self.path, 200), body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(behaviour.seconds)
            try:
                columns = json.loads(body)["dataframe_split"]["columns"]
            except ValueError:
                columns = None
            if columns != ["x"]:
                self._answer(behaviour.refusal, {"error_code": "BAD_REQUEST"})
            else:
                status = behaviour.statuses.get("/invocations", 200)
                self._answer(status, {"predictions": behaviour.predictions})

        def _answer(self, status: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(behaviour)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(behaviour: Behaviour, expected: Identity | None = IDENTITY) -> list[Check]:
    budget = Budget(p50_ms=5000 if not behaviour.seconds else 10, p99_ms=5000, requests=5)
    with serving(behaviour) as url:
        return check_server(url, expected, [CASE], Tolerances(rtol=1e-3), budget)


def test_a_right_server_passes_every_check() -> None:
    checks = run(Behaviour(predictions=[0.2501, 0.7499]))
    assert [check.name for check in checks] == NAMES
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize(
    ("behaviour", "name", "found"),
    [
        (Behaviour(statuses={"/ping": 503}), "/ping", "503"),
        (Behaviour(statuses={"/health": 404}), "/health", "404"),
        (Behaviour(statuses={"/version": 500}), "/version", "500"),
        (Behaviour(statuses={"/model": 404}), "/model", "ValueError: status 404"),
        (
            Behaviour(model=[]),
            "/model",
            "TypeError: list indices must be integers or slices, not str",
        ),
        (Behaviour(model={"name": "iris"}), "/model", "KeyError: 'version'"),
        (
            Behaviour(predictions=[0.25, 0.7]),
            "golden: input example",
            "predictions[1]: 0.7 in place of 0.75",
        ),
        (
            Behaviour(predictions=[[0.25], [0.75]]),
            "golden: input example",
            "predictions[0]: [0.25] in place of 0.25",
        ),
        (Behaviour(refusal=500), "malformed body", "500"),
        (Behaviour(refusal=200), "missing columns", "200"),
    ],
)
def test_the_check_that_is_meant_for_it_says_no(
    behaviour: Behaviour, name: str, found: str
) -> None:
    failed = {check.name: check.found for check in run(behaviour) if not check.passed}
    assert failed.pop(name) == found
    assert set(failed) <= {"malformed body", "missing columns"}


@pytest.mark.parametrize("name", ["model", "version", "digest", "release"])
def test_each_part_of_the_identity_counts(name: str) -> None:
    # Such a digest looks the same where it is shortened.
    other = getattr(IDENTITY, name)[:-1] + "b"
    checks = run(Behaviour(), replace(IDENTITY, **{name: other}))
    failed = [(check.name, check.found) for check in checks if not check.passed]
    assert failed == [("/model", f"{name} {getattr(IDENTITY, name)}")]


def test_who_serves_is_told_when_nobody_is_expected() -> None:
    assert run(Behaviour(), None)[3] == Check(
        "/model", "name, version, digest and release", str(IDENTITY), passed=True
    )


def test_slow_answers_exceed_the_budget() -> None:
    latency = run(Behaviour(seconds=0.03))[-1]
    assert (latency.name, latency.passed) == ("latency", False)
    assert latency.required == "p50 <= 10 ms, p99 <= 5000 ms"


def test_failing_answers_have_no_latency() -> None:
    checks = run(Behaviour(statuses={"/invocations": 503}))
    assert checks[-1] == Check(
        "latency", "p50 <= 5000 ms, p99 <= 5000 ms", "status 503", passed=False
    )
    assert checks[4].found == "status 503"


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "CONNECT_SECONDS", 0.2)
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(OutsideError, match="expected a model server that answers"):
        check_server(url, IDENTITY, [], Tolerances(), None)
    with pytest.raises(OutsideError, match="GET http"):
        ask_identity(url)


def test_waits_for_a_server_that_begins_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    pause, refused = time.sleep, threading.Event()

    def pause_after_a_refusal(seconds: float) -> None:
        refused.set()
        pause(seconds)

    monkeypatch.setattr(time, "sleep", pause_after_a_refusal)
    monkeypatch.setattr(smoke, "CONNECT_SECONDS", 60.0)
    port = free_port()
    checks: list[Check] = []

    def ask() -> None:
        checks.extend(check_server(f"http://127.0.0.1:{port}", IDENTITY, [], Tolerances(), None))

    asking = threading.Thread(target=ask)
    asking.start()
    assert refused.wait(60)
    with ThreadingHTTPServer(("127.0.0.1", port), _handler(Behaviour())) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        asking.join()
        server.shutdown()
        thread.join()
    assert [check.name for check in checks if check.passed] == [*NAMES[:4], "malformed body"]


@pytest.mark.parametrize("url", ["localhost:1", "nonsense", "http://", "ftp://example.com"])
def test_what_is_no_address_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError, match="expected the address of a model server"):
        check_server(url, IDENTITY, [], Tolerances(), None)


def test_proxies_do_not_stand_between_this_machine_and_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(Behaviour()) as url:
        assert ask_identity(url) == IDENTITY
