"""Callers inside the cluster: a pod that sends requests to a Service and counts what fails.

This file is both sides: run as a program in the pod it is the callers; imported, it starts the pod.
"""

import http.client
import json
import os
import re
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEPT = "requests over kept connections"
PAUSE_SECONDS = 0.01
"""Between a caller's requests: what is rolled over shares a node with the callers."""


class Callers:
    """Threads that send one request after another; every second one keeps its connection."""

    def __init__(self, host: str, body: str, threads: int) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._host, self._body = host, body
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._call, args=(number % 2 == 0,), daemon=True)
            for number in range(threads)
        ]

    def run(self) -> None:
        """Send for ever; print the counts twice a second."""
        for thread in self._threads:
            thread.start()
        while True:
            time.sleep(0.5)
            with self._lock:
                told = {"counts": self.counts, "failures": self.failures[:20]}
                print(json.dumps(told), flush=True)  # noqa: T201 - the log is what is read

    def _call(self, keep_alive: bool) -> None:
        connection = http.client.HTTPConnection(self._host, 80, timeout=30)
        while True:
            opens = connection.sock is None
            try:
                connection.request(
                    "POST", "/invocations", self._body, {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                text = answer.read()
                failure = "" if answer.status == 200 else f"{answer.status}: {text[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                failure = f"{type(error).__name__}: {error}"
                connection.close()
            with self._lock:
                self.counts["requests"] += 1
                self.counts["connections"] += opens
                self.counts[KEPT] += not opens
                if failure:
                    self.counts["failed"] += 1
                    kind = "kept" if not opens else "new"
                    self.failures.append(
                        f"{time.strftime('%H:%M:%S')} {kind} connection: {failure}"
                    )
            if not keep_alive:
                connection.close()
            time.sleep(PAUSE_SECONDS)


class CallersPod:
    """A pod of callers in a namespace of its own, while the block runs.

    Args:
        namespace: beginning of the name of one that is made and deleted.
        image: any of the server's images: it has Python.
        host: name of the Service in the cluster's DNS.
        body: a scoring request.
    """

    def __init__(self, namespace: str, image: str, host: str, body: str, threads: int = 6) -> None:
        self._namespace = namespace = f"{namespace}-{uuid.uuid4().hex[:6]}"
        arguments = [host, body, str(threads)]
        program = Path(__file__).read_text(encoding="utf-8")
        container = {
            "name": "load",
            "image": image,
            "command": ["python", "-c", program, *arguments],
            "env": [{"name": "CALLERS", "value": "1"}],
            "resources": {"requests": {"cpu": "200m"}},  # or other pods starve it
        }
        self._pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "load", "namespace": namespace},
            "spec": {
                "containers": [container],
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
            },
        }

    def __enter__(self) -> "CallersPod":
        kubectl("create", "namespace", self._namespace)
        kubectl("wait", "--for=create", "serviceaccount/default", f"--namespace={self._namespace}")
        kubectl("create", "-f", "-", text=json.dumps(self._pod))
        kubectl("wait", "--for=condition=Ready", "pod/load", f"--namespace={self._namespace}")
        self.reach(100)
        return self

    def __exit__(self, *_: object) -> None:
        kubectl("delete", "namespace", self._namespace, "--wait=false")

    def told(self) -> dict[str, Any]:
        """The counts until now: requests, failed, connections, failures."""
        lines = kubectl("logs", "load", f"--namespace={self._namespace}", "--tail=1").strip()
        found: dict[str, Any] = json.loads(lines) if lines else {"counts": {}, "failures": []}
        return {"failed": 0, **found["counts"], "failures": found["failures"]}

    def reach(self, requests: int, seconds: float = 400) -> dict[str, Any]:
        """Wait until that many requests were sent; the counts then."""
        deadline = time.monotonic() + seconds
        while (told := self.told()).get("requests", 0) < requests:
            assert time.monotonic() < deadline, f"{told} after {seconds:g} s"
            time.sleep(0.5)
        return told

    @contextmanager
    def unnoticed(self, requests: int, *, refused: int = 0) -> Iterator[None]:
        """Callers send that many requests from the block's beginning on, and none of them fails.

        `refused` is how many new connections may be refused, or reset by the end of what listened:
        a request that no server read.
        """
        before = self.told()
        begun = time.monotonic()
        yield
        after = self.reach(before["requests"] + requests)
        sent, kept = (after[key] - before[key] for key in ("requests", KEPT))
        took = time.monotonic() - begun
        print(f"{sent} requests in {took:.0f} s, {kept} over kept connections, "  # noqa: T201
              f"{after['failed'] - before['failed']} failed")  # fmt: skip
        failures = after["failures"][len(before["failures"]) :]
        assert after["failed"] - before["failed"] <= refused, after
        unread = re.compile("new connection: Connection(Refused|Reset)Error")
        assert all(unread.search(each) for each in failures), failures
        assert min(kept, sent - kept) >= requests // 10, "both kinds of callers"


def kubectl(*arguments: str, text: str | None = None, check: bool = True) -> str:
    """Call kubectl as whoever runs the tests, the cluster's administrator."""
    done = subprocess.run(
        ["kubectl", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert not check or done.returncode == 0, f"kubectl {' '.join(arguments[:4])}: {done.stderr}"
    return done.stdout


if os.environ.get("CALLERS"):
    import sys

    Callers(sys.argv[1], sys.argv[2], int(sys.argv[3])).run()
