"""Behind nginx and Envoy, on connections that are kept, no request is lost as servers change."""

import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.hostile.proxies import PROXIES
from tests.hostile.serving_processes import contexts, served
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("hostile-serving"), pytest.mark.long]

BODY = b'{"dataframe_split": {"columns": ["do"], "data": [["a"]]}}'
RIGHT = b'{"predictions": ["a"]}'


class Stream:
    """Requests one after another on a kept connection until told to stop."""

    def __init__(self, port: int) -> None:
        self.right = 0
        self.wrong: list[str] = []
        self._stopped = threading.Event()
        self._address = f"http://127.0.0.1:{port}/invocations"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with requests.Session() as session:
            session.headers["Content-Type"] = "application/json"
            while not self._stopped.wait(0.005):
                try:
                    reply = session.post(self._address, BODY, timeout=60)
                except requests.RequestException as error:
                    self.wrong.append(repr(error))
                    continue
                if reply.content == RIGHT:
                    self.right += 1
                else:
                    self.wrong.append(f"{reply.status_code} {reply.text}")

    def stop(self) -> None:
        """Return when the last request is answered."""
        self._stopped.set()
        self._thread.join(timeout=120)


@pytest.mark.skipif(not PROXIES, reason="needs nginx (Debian: nginx) or envoy on PATH")
def test_a_server_that_is_told_to_go_loses_no_request(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    context = contexts(tmp_path_factory) / "merged"
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port, shared = listening.getsockname()[1], listening.fileno()
        first = stack.enter_context(served(context, tmp_path / "first", fd=shared))
        second = stack.enter_context(served(context, tmp_path / "second", fd=shared))
        ports = [stack.enter_context(run(tmp_path, port)) for run in PROXIES.values()]
        streams = [Stream(each) for each in ports for _ in range(2)]
        for each in streams:
            stack.callback(each.stop)
        _until_more(streams)
        first.process.send_signal(signal.SIGUSR1)
        _until_more(streams)
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(timeout=120) == 0
        _until_more(streams)
        for each in streams:
            each.stop()
        assert second.process.poll() is None
    assert [each.wrong for each in streams] == [[]] * len(streams)


def _until_more(streams: list[Stream]) -> None:
    """Wait until each has had twenty answers more."""
    before = [each.right + len(each.wrong) for each in streams]
    until(
        lambda: all(
            each.right + len(each.wrong) >= count + 20
            for each, count in zip(streams, before, strict=True)
        ),
        seconds=120,
    )
