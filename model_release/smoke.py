"""The smoke test of a running model server, by HTTP only: the same checks after every deploy."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from model_release import commands
from model_release.answers import Tolerances, first_difference, single_row, without_columns
from model_release.bounded_session import BoundedSession
from model_release.errors import OutsideError, UsageError
from model_release.identity import Identity
from model_release.waiting import retry

TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 5.0
"""How long a refused connection is tried again: a new Service refuses for up to a second."""

CONNECT_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Budget:
    """Bounds in milliseconds on single requests, one after another over one connection."""

    p50_ms: float
    p99_ms: float
    requests: int = 50


@dataclass(frozen=True)
class Check:
    """One check's answer: what was required and what was found."""

    name: str
    required: str
    found: str
    passed: bool


Case = Mapping[str, object]
"""A golden case: {"name", "request": a scoring request body, "predictions": its answer's}."""


def check_server(
    url: str,
    expected: Identity | None,
    cases: Sequence[Case],
    tolerances: Tolerances,
    budget: Budget | None,
) -> list[Check]:
    """Ask the server at `url` what every later caller relies on.

    Args:
        url: base address, `http://127.0.0.1:8180`.
        expected: who has to answer; None to be told who does.
        cases: golden cases of the release. With none, nothing is said about predictions.
        tolerances: for the numbers in the predictions.
        budget: for the latency of single requests; None to leave it unmeasured.

    Raises:
        UsageError: `url` is no address.
        OutsideError: nobody answers at `url`.
    """
    with _session(url) as session:
        _connect(session, url)
        checks = [_status(session, url, path) for path in ("/ping", "/health", "/version")]
        checks.append(_identity(session, url, expected))
        checks += [_golden(session, url, case, tolerances) for case in cases]
        checks += _refusals(session, url, cases)
        if budget and cases:
            checks.append(_latency(session, url, cases[0], budget))
    return checks


def ask_identity(url: str, timeout: float = TIMEOUT_SECONDS) -> Identity:
    """Return what the server at `url` says that it serves.

    Raises:
        OutsideError: no answer, or one that is not of this protocol.
    """
    try:
        with _session(url) as session:
            return _read_identity(session.get(f"{url}/model", timeout=timeout))
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        raise OutsideError(
            f"GET {url}/model",
            expected="name, version, digest and release as JSON",
            found=f"{type(error).__name__}: {error}",
            next_step="check that a model server runs there, and read its log",
        ) from error


def is_ready(url: str, timeout: float) -> bool:
    """Whether the server at `url` says in time that it may get requests."""
    try:
        with _session(url) as session:
            return session.get(f"{url}/ready", timeout=timeout).ok
    except requests.RequestException:
        return False


def _session(url: str) -> requests.Session:
    session = BoundedSession()
    # A proxy of this machine's environment has no business between it and itself.
    session.trust_env = urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")
    return session


def _connect(session: requests.Session, url: str) -> None:
    def ping() -> None:
        session.get(f"{url}/ping", timeout=TIMEOUT_SECONDS)

    try:
        retry(ping, requests.ConnectionError, CONNECT_SECONDS, every=CONNECT_POLL_SECONDS)
    except requests.ConnectionError as error:
        raise OutsideError(
            url,
            expected="a model server that answers",
            found=_cause(error),
            next_step=f"run `{commands.script('release_status')}` to see what serves",
        ) from error
    except (ValueError, requests.RequestException) as error:
        nowhere = isinstance(error, ValueError)  # requests' word for what is no address
        raise (UsageError if nowhere else OutsideError)(
            url,
            expected="the address of a model server, such as http://127.0.0.1:8180",
            found=_cause(error),
            next_step="correct the address, or read that server's log",
        ) from error


def _status(session: requests.Session, url: str, path: str) -> Check:
    required = "200"
    try:
        answer = session.get(url + path, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        return Check(path, required, _cause(error), passed=False)
    return Check(path, required, str(answer.status_code), answer.status_code == 200)


def _identity(session: requests.Session, url: str, expected: Identity | None) -> Check:
    required = str(expected) if expected else "name, version, digest and release"
    try:
        found = _read_identity(session.get(f"{url}/model", timeout=TIMEOUT_SECONDS))
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        return Check("/model", required, _cause(error), passed=False)
    differences = expected.differences(found) if expected else ""
    return Check("/model", required, differences or str(found), not differences)


def _read_identity(answer: requests.Response) -> Identity:
    if answer.status_code != 200:
        raise ValueError(f"status {answer.status_code}")
    told = answer.json()
    return Identity.read(told | {"model": told["name"]})


def _golden(session: requests.Session, url: str, case: Case, tolerances: Tolerances) -> Check:
    name = f"golden: {case['name']}"
    required = f"the validated predictions (rtol {tolerances.rtol:g}, atol {tolerances.atol:g})"
    try:
        answer = _invoke(session, url, case["request"])
        if answer.status_code != 200:
            return Check(name, required, f"status {answer.status_code}", passed=False)
        found = answer.json()["predictions"]
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        return Check(name, required, _cause(error), passed=False)
    difference = first_difference(case["predictions"], found, tolerances)
    return Check(name, required, difference or "equal", not difference)


def _refusals(session: requests.Session, url: str, cases: Sequence[Case]) -> Iterator[Check]:
    yield _refusal(session, url, "malformed body", '{"dataframe_split": ')
    for case in cases:
        body = without_columns(case["request"])
        if body is not None:
            yield _refusal(session, url, "missing columns", body)
            return


def _refusal(session: requests.Session, url: str, name: str, body: object) -> Check:
    required = "400 to 499"
    try:
        status = _invoke(session, url, body).status_code
    except requests.RequestException as error:
        return Check(name, required, _cause(error), passed=False)
    return Check(name, required, str(status), 400 <= status < 500)


def _latency(session: requests.Session, url: str, case: Case, budget: Budget) -> Check:
    required = f"p50 <= {budget.p50_ms:g} ms, p99 <= {budget.p99_ms:g} ms"
    request = single_row(case["request"])
    times = []
    for _ in range(budget.requests):
        start = time.perf_counter()
        try:
            answer = _invoke(session, url, request)
        except requests.RequestException as error:
            return Check("latency", required, _cause(error), passed=False)
        if answer.status_code != 200:
            return Check("latency", required, f"status {answer.status_code}", passed=False)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    p50, p99 = (times[math.ceil(len(times) * share) - 1] for share in (0.50, 0.99))
    found = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms ({len(times)} requests)"
    return Check("latency", required, found, p50 <= budget.p50_ms and p99 <= budget.p99_ms)


def _invoke(session: requests.Session, url: str, body: object) -> requests.Response:
    """POST a scoring request; text goes out as it is, anything else as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    return session.post(
        f"{url}/invocations",
        data=text.encode(),
        headers={"Content-Type": "application/json"},
        timeout=TIMEOUT_SECONDS,
    )


def _cause(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    return text if len(text) <= 200 else f"{text[:200]}…"
