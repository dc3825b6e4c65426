"""Every caller gets its own answer: `python benchmarks/answers.py`.

Distinct rows are sent over 32 connections at once, so that they are merged, and then one after the
other over one connection. Each pair of answers has to be the same, byte by byte. The model is a
decision tree with a leaf a row, which answers distinct rows distinctly and each independently of
the rows beside it.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import contenders

COLUMNS = ("a", "b", "c", "d")
HEAD = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "


def train(context: Path, rows: int) -> None:
    """A tree that knows about as many answers as there are rows."""
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.tree import DecisionTreeRegressor

    dice = np.random.default_rng(0)
    features = pd.DataFrame(dice.random((rows, len(COLUMNS))), columns=list(COLUMNS))
    model = DecisionTreeRegressor(random_state=0).fit(features, np.arange(rows, dtype=float))
    mlflow.sklearn.save_model(
        model,
        str(context / "model"),
        input_example=features.head(1),
        signature=infer_signature(features, model.predict(features)),
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    contenders.write_release(context)


def requests(count: int) -> list[bytes]:
    """Distinct rows as whole HTTP requests; every tenth has two rows."""
    dice = random.Random(8007)
    made = []
    for number in range(count):
        rows = [[dice.random() for _ in COLUMNS] for _ in range(2 if number % 10 == 0 else 1)]
        body = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": rows}}).encode()
        made.append(HEAD.encode() + b"%d\r\n\r\n" % len(body) + body)
    return made


async def ask(url: str, sent: list[bytes], connections: int) -> list[bytes]:
    """The bodies of the answers, in the order of the requests."""
    address = urlsplit(url)
    answers: list[bytes] = [b""] * len(sent)

    async def caller(first: int) -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for number in range(first, len(sent), connections):
            writer.write(sent[number])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"not 200: {head!r}")
            length = head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]
            answers[number] = await reader.readexactly(int(length))
        writer.close()

    await asyncio.gather(*(caller(first) for first in range(connections)))
    return answers


def merged(url: str) -> str:
    """What the server says of its predictions: requests answered, predictions made."""
    with urllib.request.urlopen(url.replace("invocations", "metrics")) as response:  # noqa: S310
        text = response.read().decode()
    lines = [line for line in text.splitlines() if line.startswith("serving_batch_requests_")]
    values = dict(line.split() for line in lines if "bucket" not in line)
    return (
        f"{float(values['serving_batch_requests_sum']):,.0f} requests in "
        f"{float(values['serving_batch_requests_count']):,.0f} predictions"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Ask twice, compare; return 1 if an answer differs."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--requests", type=int, default=100_000, help="how many are sent (default: %(default)s)"
    )
    parser.add_argument(
        "--connections", type=int, default=32, help="how many are open (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    sent = requests(arguments.requests)
    with tempfile.TemporaryDirectory(prefix="serving-answers-") as name:
        context = Path(name) / "tree"
        train(context, min(arguments.requests, 50_000))
        with contenders.ours(context) as server:
            begun = time.monotonic()
            together = uvloop.run(ask(server.url, sent, arguments.connections))
            print(f"{merged(server.url)}, {time.monotonic() - begun:.0f} s", file=sys.stderr)
            alone = uvloop.run(ask(server.url, sent, 1))
    different = sum(a != b for a, b in zip(together, alone, strict=True))
    print(
        f"{len(sent):,} requests with distinct rows over {arguments.connections} connections: "
        f"{len(set(together)):,} distinct answers, {different:,} unlike the answer to it alone"
    )
    return int(different > 0)


if __name__ == "__main__":
    raise SystemExit(main())
