"""Requests that fail while the local target replaces a serving model: the figure has to be 0.

    python benchmarks/handover.py --upgrades 10

Clients send requests without a pause, half over keep-alive connections and half with a connection
each, while one release after another takes over the port. Nothing is retried: a refused or reset
connection, an answer other than 200 and an answer of a release that is neither counts as failed.
"""

import argparse
import http.client
import json
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from model_release import ROOT
from model_release.gates.environment import Limits
from model_release.identity import Identity
from model_release.processes import environments
from model_release.smoke import ask_identity
from model_release.targets import Deployment
from model_release.targets.local.port import HOST
from model_release.targets.local.target import LocalTarget

TIMEOUT_SECONDS = 30.0
HEADERS = {"Content-Type": "application/json"}


class Stream:
    """Clients that send one request after the other to a port, until the block ends.

    Args:
        port: on this machine.
        body: a scoring request.
        clients: threads; every second one keeps its connection as long as the server does.
        pause: seconds between two requests of a client.
    """

    def __init__(self, port: int, body: str, clients: int = 4, pause: float = 0.0) -> None:
        self.answers: Counter[bytes] = Counter()
        self.connections = 0
        self.failures: list[str] = []
        self._port = port
        self._body = body
        self._pause = pause
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._client, args=(number % 2 == 0,))
            for number in range(clients)
        ]

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self.answers.total() + len(self.failures)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _client(self, keep_alive: bool) -> None:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_SECONDS)
        while True:
            try:
                self._request(connection)
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()
                self._end.wait(0.05)
            if not keep_alive:
                connection.close()
            if self._end.wait(self._pause):
                break
        connection.close()

    def _request(self, connection: http.client.HTTPConnection) -> None:
        opens = connection.sock is None
        connection.request("POST", "/invocations", self._body, HEADERS)
        answer = connection.getresponse()
        text = answer.read()
        with self._lock:
            self.connections += opens
            if answer.status == 200:
                self.answers[text] += 1
            else:
                self.failures.append(f"status {answer.status}: {text[:200]!r}")


def _contexts(folder: Path, count: int) -> list[Path]:
    """Build contexts of releases 1 to `count` of one model, the iris logistic regression."""
    import mlflow.sklearn
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, truth = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000).fit(rows, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(model, folder / "model", input_example=rows[:1])
    contexts = []
    for version in map(str, range(1, count + 1)):
        context = folder / version
        shutil.copytree(folder / "model", context / "model")
        shutil.copytree(ROOT / "serving", context / "serving")
        release = {"model": "iris", "version": version, "digest": f"sha256:{version:0>64}"}
        release |= {"release": f"{version:0>32}"}
        (context / "release.json").write_text(json.dumps(release | {"batching": True}))
        contexts.append(context)
    return contexts


def _deployment(context: Path, python: Path) -> Deployment:
    told = json.loads((context / "release.json").read_text())
    return Deployment(Identity.read(told), context, python)


def _python(context: Path, home: Path) -> Path:
    requirements = context / "serving" / "requirements.in"
    lock = environments.lock(context / "model", requirements, Limits(), home)
    return environments.install(lock.path, lock.python, home)


def main() -> int:
    """Run the upgrades, print the counts; 1 when a request failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--upgrades", type=int, default=10, help="how often a release replaces another"
    )
    parser.add_argument(
        "--clients", type=int, default=8, help="threads; every second one keeps its connection"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contexts = _contexts(folder, arguments.upgrades + 1)
        python = _python(contexts[0], ROOT / ".release")
        target = LocalTarget(folder / "home", {"production": 0})
        try:
            stream, seconds = _upgrade(target, contexts, python, arguments.clients)
        finally:
            target.stop()
    rows = {
        "upgrades": arguments.upgrades,
        "seconds an upgrade": f"{seconds / arguments.upgrades:.1f}",
        "requests": stream.requests,
        "requests a second": f"{stream.requests / seconds:.0f}",
        "connections": stream.connections,
        "failed requests": len(stream.failures),
    }
    for title, value in rows.items():
        print(f"{title:<20} {value:>10}")
    for failure in stream.failures[:10]:
        print(failure, file=sys.stderr)
    return 1 if stream.failures else 0


def _upgrade(
    target: LocalTarget, contexts: list[Path], python: Path, clients: int
) -> tuple[Stream, float]:
    """Deploy the first context, then each of the others under the stream; the seconds they took."""
    deployments = [_deployment(context, python) for context in contexts]
    body = (contexts[0] / "model" / "serving_input_example.json").read_text()

    def deploy(deployment: Deployment) -> int:
        running = target.deploy("production", deployment, lambda _: None, lambda _: None)
        if ask_identity(running.url) != deployment.identity:
            raise SystemExit(f"{running.url} does not serve {deployment.identity}")
        return int(running.url.rpartition(":")[2])

    with Stream(deploy(deployments[0]), body, clients) as stream:
        start = time.perf_counter()
        for deployment in deployments[1:]:
            deploy(deployment)
        seconds = time.perf_counter() - start
    return stream, seconds


if __name__ == "__main__":
    raise SystemExit(main())
