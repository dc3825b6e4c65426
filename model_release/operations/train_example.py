"""The example model, which `make release` trains when the registry has no version of it."""

import os
import shlex
import subprocess
import sys

from model_release import ROOT
from model_release.errors import OutsideError
from model_release.workspace import Workspace

EXAMPLE = "iris-classifier"
TRAINING_SECONDS = 600
"""Training takes seconds; a machine under load takes longer, and none takes this long."""


def train_if_missing(workspace: Workspace, model: str) -> None:
    """Register a first version of the example model; nothing for other models or a second time.

    Raises:
        OutsideError: the training failed; says its last line.
    """
    if model != EXAMPLE or workspace.registry.has_versions(model):
        return
    workspace.progress.station("train", f"{model}: the registry has no version of the example yet")
    command = [sys.executable, str(ROOT / "examples" / "train_sklearn.py"), "--model-name", model]
    done = subprocess.run(
        command,
        env={**os.environ, "MLFLOW_TRACKING_URI": workspace.uri},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TRAINING_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise OutsideError(
            "training of the example",
            expected="a registered version",
            found=lines[-1],
            next_step=f"run {shlex.join(command)} and read its error",
        )
    workspace.progress.step(done.stdout.strip())
