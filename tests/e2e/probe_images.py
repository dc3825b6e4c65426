"""Images of the real server over a tiny model, each with at most one fault, pushed."""

import hashlib
import json
import shutil
import subprocess
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from model_release import ROOT
from model_release.digest import model_digest
from model_release.identity import Identity
from model_release.smoke import Case
from model_release.targets import Deployment

MODEL = "Probe Model/α"
"""A registry name that is no DNS label."""

ROWS = [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0)]
DOCKERFILE = """\
ARG BASE
FROM ${BASE}
RUN --mount=type=cache,target=/root/.cache/pip \\
    pip install --quiet mlflow-skinny==3.17.2 pandas "numpy<3" -r /dev/stdin <<REQUIREMENTS
httptools
prometheus-client
uvicorn
uvloop
REQUIREMENTS
RUN python -m compileall -q /usr/local/lib/python3.11 /usr/lib/python3 || true
WORKDIR /app
ENV PYTHONUNBUFFERED=1 MLFLOW_DISABLE_TELEMETRY=true HOME=/tmp
COPY . .
USER 65532
CMD ["python", "-m", "serving"]
"""


@dataclass(frozen=True)
class ProbeImages:
    """Builds and pushes images; the layers below the model are the same for all of them.

    Args:
        folder: scratch.
        registry: host and path.
        base: base image with Python 3.11.
    """

    folder: Path
    registry: str
    base: str

    def release(
        self, version: str, fault: str = "none", *, told: str = "", command: str = ""
    ) -> Deployment:
        """A deployment of the probe model.

        Args:
            version: number of the model version.
            fault: see `probe_model`.
            told: another digest for the image to answer with than the deployment's.
            command: replaces the image's command.
        """
        context = self.folder / f"{version}-{fault}-{bool(told)}-{bool(command)}"
        if not context.is_dir():
            _save_model(context / "model", fault)
            shutil.copytree(
                ROOT / "serving", context / "serving", ignore=shutil.ignore_patterns("__pycache__")
            )
        digest = model_digest(context / "model")
        run = hashlib.sha256(f"{version} {fault} {told} {command}".encode()).hexdigest()[:32]
        identity = Identity(MODEL, version, digest, run)
        served = replace(identity, digest=told or digest).fields()
        (context / "release.json").write_text(json.dumps(served | {"batching": False}))
        image = self._push(context, command)
        return Deployment(identity, image=image, cases=cases())

    def _push(self, context: Path, command: str) -> str:
        last = f"CMD {json.dumps(command.split())}\n" if command else ""
        tag = f"{self.registry}/k8s-probe:{context.name}"
        metadata = self.folder / f"{context.name}.json"
        subprocess.run(
            [
                *("docker", "buildx", "build", "--quiet", "--push", "--provenance=false"),
                *("--tag", tag, "--file", "-", "--build-arg", f"BASE={self.base}"),
                *("--metadata-file", str(metadata), str(context)),
            ],
            input=DOCKERFILE + last,
            text=True,
            check=True,
            capture_output=True,
            timeout=600,
        )
        digest = json.loads(metadata.read_text())["containerimage.digest"]
        return f"{self.registry}/k8s-probe@{digest}"


def cases() -> list[Case]:
    """Golden cases of the probe model without a fault."""
    return [
        {
            "name": f"row {number}",
            "request": {"dataframe_split": {"columns": ["a", "b"], "data": [[a, b]]}},
            "predictions": [a + 2 * b],
        }
        for number, (a, b) in enumerate(ROWS)
    ]


def _save_model(folder: Path, fault: str) -> None:
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import infer_signature

    rows = pd.DataFrame(ROWS, columns=["a", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            folder,
            python_model=Path(__file__).with_name("probe_model.py"),
            model_config={"fault": fault},
            signature=infer_signature(rows, (rows["a"] + 2 * rows["b"]).to_numpy()),
            input_example=None,
            pip_requirements=["mlflow-skinny"],
        )
