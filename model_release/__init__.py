"""The library behind `scripts/`: takes one model version from the registry to production."""

from pathlib import Path

__version__ = "0.1.0"

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: `models/`, `serving/` and `k8s/` lie beside this package."""
