"""How this server compares with others: `python benchmarks/serving.py [--against litserve]`.

Both serve the same three models on this machine: the opponent at its best (see `contenders.py`;
LitServe's settings are tuned first, for each model), this server with its defaults. wrk (Debian's
package) asks both in turn, A B A B, and each figure is the median of the rounds. The ratios are
what counts: absolute figures are those of the machine and its neighbours.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks import contenders, wrk
from benchmarks.contenders import MODELS, Contender
from benchmarks.wrk import Load

CONNECTIONS = 32
THROUGHPUT = {
    "mlflow": dict(zip(MODELS, (10.0, 8.0, 12.0), strict=True)),
    "litserve": dict(zip(MODELS, (4.0, 2.0, 2.0), strict=True)),
}
"""Least ratio of the throughputs at 32 connections."""

TUNING_SECONDS = 3


class Row(NamedTuple):
    """One measure: the opponent's figure, this server's, and what their ratio has to be."""

    measure: str
    theirs: float
    ours: float
    target: float | None = None

    def cells(self) -> str:
        """The row's cells in Markdown; a target above 1 is a least ratio, else a greatest."""
        ratio = self.ours / self.theirs
        text = f"{self.measure} | {self.theirs:,.2f} | {self.ours:,.2f} | {ratio:.3f}"
        if self.target is None:
            return f"{text} | | "
        sign = "≥" if self.target > 1 else "≤"
        return f"{text} | {sign} {self.target:g} | {'met' if self.met else 'missed'}"

    @property
    def met(self) -> bool:
        """Whether the ratio is what it has to be."""
        if self.target is None:
            return True
        ratio = self.ours / self.theirs
        return ratio >= self.target if self.target > 1 else ratio <= self.target


def compare(
    opponent: Contender, context: Path, lua: Path, rounds: int, seconds: int
) -> tuple[list[list[Load]], list[list[Load]], list[float]]:
    """Loads at 32 connections and at one, and the memory after them; the opponent's come first."""
    busy: list[list[Load]] = [[], []]
    idle: list[list[Load]] = [[], []]
    with ExitStack() as stack:
        servers = [stack.enter_context(each(context)) for each in (opponent, contenders.ours)]
        for server in servers:
            wrk.load(server.url, lua, CONNECTIONS, 2)
        for _ in range(rounds):
            for side, server in enumerate(servers):
                busy[side].append(wrk.load(server.url, lua, CONNECTIONS, seconds))
                idle[side].append(wrk.load(server.url, lua, 1, max(2, seconds // 3)))
        used = [wrk.memory(server.pid) for server in servers]
    if sum(each.errors for side in (*busy, *idle) for each in side):
        raise SystemExit("some answers were not 200: the figures would mean nothing")
    return busy, idle, used


def rows(
    against: str, model: str, figures: tuple[list[list[Load]], list[list[Load]], list[float]]
) -> list[Row]:
    """What the figures say of each measure."""
    busy, idle, used = figures

    def medians(sides: list[list[Load]], name: str) -> tuple[float, float]:
        theirs, here = (float(statistics.median(getattr(e, name) for e in side)) for side in sides)
        return theirs, here

    named = against == "mlflow"
    return [
        Row(
            "throughput, 32 connections",
            *medians(busy, "throughput"),
            THROUGHPUT[against][model],
        ),
        Row("p99 at 32 connections, ms", *medians(busy, "p99"), 1 / 8 if named else None),
        Row("p50 at 1 connection, ms", *medians(idle, "p50"), 0.75 if named else None),
        Row("memory, MiB PSS", used[0], used[1], 0.55 if named else None),
    ]


def as_installed(context: Path, lua: Path) -> Row:
    """Memory against `mlflow models serve` with its defaults, one worker, after the same load."""
    used = []
    for contender in (contenders.mlflow_as_installed, contenders.ours):
        with contender(context) as server:
            wrk.load(server.url, lua, CONNECTIONS, 5)
            used.append(wrk.memory(server.pid))
    return Row("memory against `mlflow models serve`, MiB PSS", *used)


def tuned(python: Path, context: Path, lua: Path) -> Contender:
    """LitServe with the settings that answer most requests of this model; all are printed."""
    best, most = contenders.TUNINGS[0], 0.0
    for tuning in contenders.TUNINGS:
        with contenders.litserve(python, tuning)(context) as server:
            wrk.load(server.url, lua, CONNECTIONS, 1)
            found = wrk.load(server.url, lua, CONNECTIONS, TUNING_SECONDS)
        print(f"{context.name}: {tuning}: {found.throughput:.0f}/s", file=sys.stderr, flush=True)
        if found.throughput > most and not found.errors:
            best, most = tuning, found.throughput
    print(f"{context.name}: best: {best}", file=sys.stderr, flush=True)
    return contenders.litserve(python, best)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--against", choices=list(THROUGHPUT), default="mlflow", help="the server to compare with"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=int, default=8, help="how long a run takes (default: %(default)s)"
    )
    parser.add_argument(
        "--model", choices=list(MODELS), action="append", help="measure this model only"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print one table, return 1 if a ratio misses its target."""
    arguments = _arguments(argv)
    if wrk.missing():
        print(wrk.missing(), file=sys.stderr)
        return 2
    missed = 0
    with tempfile.TemporaryDirectory(prefix="serving-benchmark-") as name:
        folder = Path(name)
        contenders.train(folder)
        if arguments.against == "litserve":
            python = contenders.litserve_environment(folder / "litserve")
        print(f"| model | measure | {arguments.against} | serving | ratio | target | |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for model in arguments.model or MODELS:
            context = folder / model
            example = (context / "model" / "serving_input_example.json").read_text()
            lua = wrk.script(folder, [example])
            if arguments.against == "litserve":
                opponent = tuned(python, context, lua)
            else:
                opponent = contenders.mlflow_at_its_best
            figures = compare(opponent, context, lua, arguments.rounds, arguments.seconds)
            found = rows(arguments.against, model, figures)
            if arguments.against == "mlflow":
                found.append(as_installed(context, lua))
            for row in found:
                missed += not row.met
                print(f"| {model} | {row.cells()} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
