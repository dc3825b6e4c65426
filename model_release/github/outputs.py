"""Outputs of a script for later jobs of its workflow."""

import os
from pathlib import Path


def tell_workflow(**outputs: str) -> None:
    """Set outputs of this step, where it is one; a value is one line."""
    if path := os.environ.get("GITHUB_OUTPUT"):
        lines = [f"{name}={' '.join(value.split())}\n" for name, value in outputs.items()]
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(lines)
