"""Proxies in front of a model server: nginx and Envoy, as people run them."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.waiting import until

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  {temporary}
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""
"""An upgrade is passed on, as nginx's page about WebSocket has it."""

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _envoy_configuration(port: int, upstream: int) -> dict[str, object]:
    kind = "type.googleapis.com/envoy.extensions.filters"
    router = {"@type": f"{kind}.http.router.v3.Router"}
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "model",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "model",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "model"}}],
                }
            ]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    chain = {"filters": [{"name": "manager", "typed_config": manager}]}
    endpoint = {"endpoint": {"address": _address(upstream)}}
    cluster = {
        "name": "model",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "model",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
    listener = {"name": "model", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[int]:
    """Run nginx in front of a port; its own port."""
    port = free_port()
    temporary = " ".join(f"{each}_temp_path {folder}/{each};" for each in TEMPORARY)
    text = NGINX.format(folder=folder, temporary=temporary, upstream=upstream, port=port)
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", str(folder / "nginx.log")]
    with _running(command, folder / "nginx.log", port):
        yield port


@contextmanager
def envoy(folder: Path, upstream: int) -> Iterator[int]:
    """Run Envoy in front of a port; its own port."""
    port = free_port()
    (folder / "envoy.json").write_text(json.dumps(_envoy_configuration(port, upstream)))
    command = ["envoy", "-c", str(folder / "envoy.json"), "--concurrency", "1"]
    command += ["--disable-hot-restart", "--log-path", str(folder / "envoy.log")]
    with _running(command, folder / "envoy.log", port):
        yield port


PROXIES: dict[str, Callable[..., object]] = {
    each.__name__: each for each in (nginx, envoy) if shutil.which(each.__name__)
}
"""Those that this machine has."""


@contextmanager
def _running(command: list[str], log: Path, port: int) -> Iterator[None]:
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    ) as process:
        try:
            until(lambda: _listens(port) or process.poll(), seconds=60)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def _listens(port: int) -> bool:
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()
