"""What is wrong with a pod, read from the API server and asked from the pod itself."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from model_release.errors import OutsideError
from model_release.identity import Identity
from model_release.targets.kubernetes.pods import check_pods, fault, pod_url
from model_release.targets.kubernetes.rollout import Pod

IDENTITY = Identity("iris", "2", "sha256:ab", "r2")
POD = Pod("iris-1", "u", "Running", True, False, 0, "node1", "", "", "r2")


@pytest.fixture
def base() -> Iterator[str]:
    """Base URL of a proxy behind which the pod answers as IDENTITY."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"name": IDENTITY.model, **vars(IDENTITY)}).encode()
            self.send_response(200 if self.path == "/pods/iris-1:8080/proxy/model" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_pod_that_answers_as_it_should_has_no_fault(base: str) -> None:
    assert pod_url(base, POD.name) == f"{base}/pods/iris-1:8080/proxy"
    assert fault(base, POD, IDENTITY) == ""


def test_a_pod_of_another_release_is_named_with_what_it_is(base: str) -> None:
    told = fault(base, POD, replace(IDENTITY, version="3", release="r3"))
    assert told == "pod iris-1: version 2; release r2"


def test_an_image_of_another_release_needs_a_new_one(base: str) -> None:
    """Building again would find the recorded image in its registry, and leave it as it is."""
    with pytest.raises(OutsideError) as caught:
        check_pods(base, [POD], replace(IDENTITY, release="r3"))
    assert "python scripts/validate_model.py --model-name iris" in caught.value.next_step


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"waits_for": "ContainerCreating"}, "ContainerCreating"),
        ({"waits_for": "x", "trouble": "pod iris-1: OOMKilled"}, "pod iris-1: OOMKilled"),
    ],
)
def test_a_pod_that_is_not_ready_is_not_asked(changes: dict[str, str], why: str) -> None:
    pod = replace(POD, ready=False, **changes)
    assert fault("http://127.0.0.1:1", pod, IDENTITY) == f"pod iris-1 is not ready: {why}"
