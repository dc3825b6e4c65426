"""How the server starts, and what it says when it cannot."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("serving-processes")

ROOT = Path(__file__).parents[3]
BODY = json.dumps({"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}).encode()


def failing(context: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and last line on stderr of a server that cannot start."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "serving", "--context", str(context), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_two_workers_answer_count_together_and_stop(new_client: Any, start: Any) -> None:
    server = start("doubles", SERVING_WORKERS="2")
    for _ in range(10):
        assert new_client().send(server.port, BODY).status == 200
    text = new_client().send(server.port, path="/metrics").body.decode()
    assert 'serving_requests_total{status="200"} 10.0' in text
    assert 'name="doubles"' in text
    server.process.send_signal(signal.SIGUSR1)
    answers = [200]
    while 200 in answers:  # both workers are told, each at its time
        answers = [new_client().send(server.port, path="/ready").status for _ in range(20)]
    assert new_client().send(server.port, BODY).status == 200
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=30) == 0


def test_no_context(tmp_path: Path) -> None:
    code, line = failing(tmp_path)
    assert code == 2
    assert line.startswith("error: the context's file release.json; expected JSON with model,")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", "found a JSON list"),
        ("{", "found Expecting property name"),
        ('{"model": "m", "version": 1}', "missing or of another type: version, digest, release"),
    ],
)
def test_unusable_release(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "release.json").write_text(text)
    code, line = failing(tmp_path)
    assert code == 2
    assert found in line


def test_a_context_without_a_model(tmp_path: Path, contexts: Path) -> None:
    shutil.copy(contexts / "doubles" / "release.json", tmp_path)
    code, line = failing(tmp_path, "--port", "0")
    assert code == 2
    assert "the context's folder model/; expected an MLflow model with a file MLmodel" in line


def test_a_port_that_is_taken(contexts: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, line = failing(contexts / "doubles", "--host", "127.0.0.1", "--port", port)
    assert code == 3
    assert line.startswith(f"error: address 127.0.0.1 port {port}; expected one that is free")


def test_a_setting_that_is_no_number(contexts: Path) -> None:
    code, line = failing(contexts / "doubles", SERVING_WORKERS="many")
    assert code == 2
    assert "environment variable SERVING_WORKERS; expected a whole number from 1" in line


def test_a_model_that_does_not_load(tmp_path: Path, contexts: Path) -> None:
    shutil.copytree(contexts / "pickled", tmp_path / "context")
    (tmp_path / "context" / "model" / "model.pkl").write_bytes(b"not a pickle")
    code, line = failing(tmp_path / "context", "--port", "0")
    assert code == 3
    assert line.startswith("error: model pickled version 7; expected a model that loads in this")


def test_a_model_that_does_not_answer_its_example(tmp_path: Path, contexts: Path) -> None:
    shutil.copytree(contexts / "doubles", tmp_path / "context")
    example = tmp_path / "context" / "model" / "serving_input_example.json"
    example.write_text(example.read_text().replace("1.5", "666"))
    code, line = failing(tmp_path / "context", "--port", "0")
    assert code == 3
    assert "expected an answer to its own input example; found status 400" in line


def test_request_lines_are_json_and_hold_no_payload(
    client: Any, start: Any, tmp_path: Path
) -> None:
    port = start("doubles", SERVING_LOG_SAMPLE="1").port
    secret = BODY.replace(b"[1, 2, 3]", b"[4321.125, 2, 3]")
    assert client.send(port, secret).status == 200
    assert client.send(port, secret.replace(b"4321.125", b'"4321.125x"')).status == 400
    assert client.send(port, secret.replace(b"4321.125", b"666")).status == 400
    text = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [line["status"] for line in lines] == [200, 400, 400]
    assert [line["path"] for line in lines] == ["fast", "mlflow", "fast"]
    assert "4321.125" not in text
    assert "own words about [" not in text
    assert "prediction failed: ValueError" in text


def test_garbage_is_collected_again_once_the_model_is_loaded(contexts: Path) -> None:
    """Imports go without; a server that goes on so would never give memory back."""
    script = (
        "import gc, sys, pathlib; from serving import imports, settings; "
        "context = pathlib.Path(sys.argv[1]); imports.prepare(context / 'model'); "
        "off = not gc.isenabled(); from serving.app import create_app; "
        "create_app(context, settings.Settings()); "
        "print(off, gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(contexts / "doubles")]
    out = subprocess.check_output(command, cwd=ROOT, text=True, timeout=240)
    assert out.split() == ["True", "True", "True"]
