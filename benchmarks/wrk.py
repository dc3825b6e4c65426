"""Load on a server by wrk (Debian's package): what it measured, and the server's memory."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple


class Load(NamedTuple):
    """What wrk measured: requests a second, latencies in milliseconds, answers not 2xx."""

    throughput: float
    p50: float
    p99: float
    errors: int


def missing() -> str:
    """Why nothing can be measured here; empty where wrk is installed."""
    return "" if shutil.which("wrk") else "wrk is missing; next: run `apt-get install wrk`"


def script(folder: Path, bodies: list[str], pause_ms: float = 0.0) -> Path:
    """A Lua script for wrk that sends `bodies` in turn, each request after a pause.

    Args:
        folder: where it is written.
        bodies: JSON texts.
        pause_ms: mean pause of a connection between an answer and its next request; wrk knows
            whole milliseconds, so some requests wait one longer than others.
    """
    whole, part = divmod(pause_ms, 1.0)
    lines = ["local requests = {}", 'wrk.method = "POST"']
    lines += ['wrk.headers["Content-Type"] = "application/json"', "local at = 0", "function init()"]
    lines += [
        f"  requests[#requests + 1] = wrk.format(nil, nil, nil, {json.dumps(body)})"
        for body in bodies
    ]
    lines += ["end", "function request()", "  at = at % #requests + 1"]
    lines += ["  return requests[at]", "end"]
    if pause_ms:
        lines += [
            "function delay()",
            f"  return {int(whole)} + (math.random() < {part:.4f} and 1 or 0)",
        ]
        lines += ["end"]
    path = folder / "request.lua"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def load(url: str, lua: Path, connections: int, seconds: float) -> Load:
    """What wrk measures with `connections` that each send one request after the other."""
    threads = str(min(2, connections))
    command = ["wrk", "-t", threads, "-c", str(connections), "-d", f"{seconds:.0f}s", "--latency"]
    text = subprocess.run(
        [*command, "--timeout", "30s", "-s", str(lua), url],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    ).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    errors = int(refused[1]) if refused else 0
    return Load(
        float(rate[1]) if rate else 0.0,
        _milliseconds(text, "50%"),
        _milliseconds(text, "99%"),
        errors + sum(map(int, broken.groups() if broken else ())),
    )


def _milliseconds(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)\b", text)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]] if found else 0.0


def memory(pid: int) -> float:
    """PSS of a process and all below it, in MiB."""
    total = 0
    pending = [pid]
    while pending:
        each = pending.pop()
        folder = Path(f"/proc/{each}")
        total += int(re.findall(r"^Pss:\s+(\d+)", (folder / "smaps_rollup").read_text(), re.M)[0])
        for task in (folder / "task").iterdir():
            pending += [int(child) for child in (task / "children").read_text().split()]
    return total / 1024
