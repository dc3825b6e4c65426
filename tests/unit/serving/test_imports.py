"""What a server imports before MLflow."""

import subprocess
import sys
from pathlib import Path

START = """
import sys
from pathlib import Path
from serving import imports
imports.prepare(Path(sys.argv[1]))
print(*sys.modules)
"""


def modules(model: Path) -> set[str]:
    """What is imported in a new process that has prepared for a model."""
    command = [sys.executable, "-c", START, str(model)]
    return set(subprocess.check_output(command, text=True).split())


def test_skops_is_imported_for_a_model_that_needs_it_and_before_mlflow(tmp_path: Path) -> None:
    (tmp_path / "sklearn").mkdir()
    assert not {"skops.io", "mlflow"} & modules(tmp_path)
    (tmp_path / "sklearn" / "model.skops").touch()
    assert {"skops.io", "mlflow"} & modules(tmp_path) == {"skops.io"}
