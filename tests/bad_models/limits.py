"""The holdout and the limits that every bad model is held to."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROWS = 240
TARGET = "long"
TRUTH_SHARE = 5
"""Every fifth row is of class 1, in every region: always answering 0 is right in 80 % of them."""


def rows() -> pd.DataFrame:
    """240 rows: `long` is 1 where `length` exceeds `width`, by at least 1 either way.

    `region` is north (100 rows), south (100) or west (40), `rooms` runs from 1 to 10 in blocks of
    five rows, independent of the truth, and `age` from 0 to 23.
    """
    random = np.random.default_rng(0)
    number = np.arange(ROWS)
    small, gap = random.uniform(0, 8, ROWS), random.uniform(1, 2, ROWS)
    truth = (number % TRUTH_SHARE == 0).astype("int64")
    return pd.DataFrame(
        {
            "length": np.where(truth == 1, small + gap, small),
            "width": np.where(truth == 1, small, small + gap),
            "region": np.where(number < 100, "north", np.where(number < 200, "south", "west")),
            "rooms": (number // 5 % 10 + 1).astype("int32"),
            "age": number % 24,
            TARGET: truth,
        }
    )


def limits(holdout: Path) -> dict[str, Any]:
    """A configuration in which no gate is skipped, as `models/<name>.yaml` would hold it."""
    return {
        "holdout": {
            "uri": str(holdout),
            "sha256": hashlib.sha256(holdout.read_bytes()).hexdigest(),
            "target": TARGET,
            "task": "classification",
        },
        "gates": {
            # Most models here are code; what that may not do is what the other gates look at.
            "serialization": {"trusted_flavors": ["python_function"]},
            "loadable": {"max_seconds": 60, "max_memory_mib": 2048},
            "claimed_metrics": {"thresholds": {"accuracy": {"min": 0.75}}},
            "measured_metrics": {
                "thresholds": {"accuracy": {"min": 0.75}, "f1_macro": {"min": 0.7}}
            },
            "champion": {"max_regression": {"accuracy": 0.02}, "when_no_champion": "pass"},
            "slices": {"columns": ["region"], "thresholds": {"accuracy": {"min": 0.7}}},
            # Only the slow model is near 100 ms; a busy machine may make single calls slow.
            "latency": {
                "single_p50_ms": 100,
                "single_p99_ms": 5000,
                "batch_p99_ms": 10_000,
                "requests": 8,
                "max_size_mib": 1,
            },
            "row_independence": {"rows": 8},
            "golden": {"rows": 4},
        },
    }


def write_limits(
    models_dir: Path, model: str, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> Path:
    """Write holdout and `<model>.yaml`; `changes` add to gates' sections, or skip them.

    A section that says `skip` stands alone, and so does one whose gate has no section yet.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    holdout = models_dir / "holdout.parquet"
    if not holdout.exists():
        rows().to_parquet(holdout, index=False)
    config = limits(holdout)
    for gate, section in (changes or {}).items():
        known = {} if "skip" in section else config["gates"].get(gate, {})
        config["gates"][gate] = {**known, **section}
    path = models_dir / f"{model}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path
