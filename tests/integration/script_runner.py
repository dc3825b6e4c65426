"""The commands that people run, with a state folder and two ports of their own."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
MODEL = "iris-classifier"


@dataclass
class ScriptRunner:
    """A state folder and two ports of its own, and the commands run there."""

    home: Path
    environment: dict[str, str]

    @property
    def production(self) -> str:
        return f"http://127.0.0.1:{self.environment['PRODUCTION_PORT']}"

    def start(
        self,
        script: str,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=self.home.parent,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, script: str, *arguments: str, code: int = 0) -> tuple[str, str]:
        process = self.start(script, *arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, (
            f"{script} {arguments}: {process.returncode}\n{err}\n{out}"
        )
        return out, err

    def on_terminal(self, answer: str, script: str, *arguments: str) -> tuple[int, str, str]:
        """Run at a terminal and answer its question; exit code, standard output and error."""
        ours, theirs = pty.openpty()
        process = self.start(script, *arguments, stdin=theirs, stderr=theirs)
        os.close(theirs)
        shown = ""
        with suppress(OSError):  # how a terminal says that the other side is gone
            while read := os.read(ours, 4096):
                shown += read.decode()
                if answer and "[y/N] " in shown:
                    os.write(ours, f"{answer}\n".encode())
                    answer = ""
        os.close(ours)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out, shown

    def release(self, *arguments: str, code: int = 0) -> dict[str, object]:
        out, _ = self.run("scripts/run_release.py", "--format", "json", *arguments, code=code)
        found: dict[str, object] = json.loads(out)
        return found

    def train(self, *arguments: str) -> None:
        self.run("examples/train_sklearn.py", *arguments)

    def champion(self) -> str | None:
        out, _ = self.run("scripts/release_status.py", "--format", "json")
        found = [d for d in json.loads(out)["deployments"] if d["environment"] == "production"]
        return str(found[0]["champion"]) if found else None

    def kill_at(self, text: str, script: str, *arguments: str) -> bool:
        """Start a script and kill it at the first line of its progress that contains `text`."""
        process = self.start(script, *arguments)
        assert process.stderr is not None
        for line in process.stderr:
            if text in line:
                process.kill()
                break
        process.communicate(timeout=120)
        return process.returncode < 0


def make_script_runner(folder: Path, shared: Path) -> ScriptRunner:
    """A runner whose locks and environments are shared with the others of this test run."""
    home = folder / "state"
    home.mkdir()
    for name in ("locks", "environments"):
        (shared / name).mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(shared / name)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "GITHUB_"))},
        "MODEL_NAME": MODEL,
        "MODEL_VERSION": "",
        "RELEASE_HOME": str(home),
        "STAGING_PORT": str(free_port()),
        "PRODUCTION_PORT": str(free_port()),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    made = ScriptRunner(home, environment)
    # The example trains into the embedded registry, as the README says to.
    made.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{home}/mlflow.db"
    return made
