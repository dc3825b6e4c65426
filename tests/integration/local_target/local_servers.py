"""A local target to deploy to, and the model that it serves: one that answers its version."""

import json
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.handover import Stream
from model_release import ROOT
from model_release.identity import Identity
from model_release.targets import Deployment, Running
from model_release.targets.local.slot import Slot
from model_release.targets.local.target import LocalTarget
from tests.waiting import until

MODEL = """
import os
from pathlib import Path
import mlflow

class Version(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.version = Path(context.artifacts["version"]).read_text()
        if self.version == "broken":
            raise RuntimeError("this model does not load")

    def predict(self, context, model_input: list[str]) -> list[str]:
        told = {"version": self.version, "secret": os.environ.get("TOKEN", "")}
        if model_input[0] == "print":
            print("x" * 100_000, flush=True)
        return [told.get(each, each) for each in model_input]

mlflow.models.set_model(Version())
"""


def save_model(folder: Path) -> Path:
    """Save the model in a folder; each release of it gets a version of its own."""
    (folder / "model.py").write_text(MODEL)
    (folder / "version").write_text("?")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow warns when it is imported
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            folder / "model",
            python_model=str(folder / "model.py"),
            artifacts={"version": str(folder / "version")},
            pip_requirements=[],
        )
    return folder / "model"


def port(running: Running) -> int:
    return int(running.url.rpartition(":")[2])


def answer(version: str) -> bytes:
    return json.dumps({"predictions": [version]}).encode()


def stream(running: Running, text: str = "version", clients: int = 4) -> Stream:
    """Requests that take little of the machine from the servers that start meanwhile."""
    return Stream(port(running), json.dumps({"inputs": [text]}), clients, pause=0.01)


class LocalServers:
    """A local target in a state folder whose path is longer than a Unix socket's may be."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        self.model = model
        self.home = folder / ("long" * 30) / "home"
        self.target = LocalTarget(self.home, {"staging": 0, "production": 0}, wait_seconds=0.3)
        self.steps: list[str] = []

    def deployment(self, version: str, model: str = "iris") -> Deployment:
        """A release of a model that answers its version."""
        context = self.folder / "contexts" / version
        if not context.exists():
            shutil.copytree(ROOT / "serving", context / "serving")
            shutil.copytree(self.model, context / "model")
            (context / "model" / "artifacts" / "version").write_text(version)
        identity = Identity(model, version, f"sha256:{version:a>64}", f"{version:b>32}")
        (context / "release.json").write_text(json.dumps({**identity.fields(), "batching": True}))
        return Deployment(identity, context=context, python=Path(sys.executable))

    def deploy(self, version: str, verify: Callable[[str], None] = lambda _: None) -> Running:
        """Deploy a version to production."""
        return self.target.deploy("production", self.deployment(version), self.steps.append, verify)

    @property
    def slot(self) -> Slot:
        """Production's slot."""
        return Slot(self.home / "local" / "production" / "iris")

    def alive(self) -> list[str]:
        """Versions of the servers that live in production's slot."""
        states = [server.state() for server in self.slot.servers() if server.alive]
        return [state.identity.version if state else "?" for state in states]

    def kill(self) -> None:
        """Kill production's current server as a reboot would."""
        server = self.slot.current()
        state = server.state() if server else None
        assert server
        assert state
        os.kill(state.pid, signal.SIGKILL)
        until(lambda: not server.alive, seconds=30)
