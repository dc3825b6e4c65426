"""The server at 80 % of its peak load for ten minutes: `python benchmarks/soak.py`.

Prints a row a minute: requests a second, p99, memory. Memory may grow by less than 5 % from the end
of the first minute (warm-up) to the last, and every answer has to be 200.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import contenders, wrk
from benchmarks.contenders import MODELS, Server

CONNECTIONS = 64
SHARE = 0.8
GROWTH = 0.05
PEAK_SECONDS = 10
STEP_SECONDS = 4
STEPS = 3


def pause_for(server: Server, folder: Path, body: str, rate: float) -> float:
    """Milliseconds that each connection has to pause between requests for a rate of requests."""
    wanted = CONNECTIONS * 1000 / rate
    pause = wanted / 2
    for _ in range(STEPS):
        lua = wrk.script(folder, [body], pause)
        found = wrk.load(server.url, lua, CONNECTIONS, STEP_SECONDS).throughput
        pause = max(0.5, pause + wanted - CONNECTIONS * 1000 / found)
    return pause


def soak(server: Server, folder: Path, body: str, minutes: int) -> tuple[list[float], int]:
    """Print a row a minute; return the memory at the end of each and the number of errors."""
    peak = wrk.load(server.url, wrk.script(folder, [body]), 32, PEAK_SECONDS).throughput
    pause = pause_for(server, folder, body, SHARE * peak)
    print(f"peak {peak:,.0f}/s; {CONNECTIONS} connections that pause {pause:.1f} ms\n")
    print("| minute | requests/s | of peak | p99, ms | errors | memory, MiB PSS |")
    print("| --- | --- | --- | --- | --- | --- |")
    used, errors = [], 0
    for minute in range(minutes):
        found = wrk.load(server.url, wrk.script(folder, [body], pause), CONNECTIONS, 60)
        used.append(wrk.memory(server.pid))
        errors += found.errors
        print(
            f"| {minute + 1} | {found.throughput:,.0f} | {found.throughput / peak:.0%} "
            f"| {found.p99:.1f} | {found.errors} | {used[-1]:.1f} |",
            flush=True,
        )
    return used, errors


def main(argv: Sequence[str] | None = None) -> int:
    """Soak; return 1 if memory grows or an answer is not 200."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--minutes", type=int, default=10, help="how long it runs (default: %(default)s)"
    )
    parser.add_argument("--model", choices=list(MODELS), default=MODELS[0])
    arguments = parser.parse_args(argv)
    if wrk.missing():
        print(wrk.missing(), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="serving-soak-") as name:
        folder = Path(name)
        contenders.train(folder)
        context = folder / arguments.model
        body = (context / "model" / "serving_input_example.json").read_text()
        with contenders.ours(context) as server:
            used, errors = soak(server, folder, body, arguments.minutes)
    growth = used[-1] / used[0] - 1
    print(f"\nmemory grew by {growth:.1%} after the first minute; {errors} errors")
    return int(growth >= GROWTH or errors > 0)


if __name__ == "__main__":
    raise SystemExit(main())
