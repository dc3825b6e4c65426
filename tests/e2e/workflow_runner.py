"""The real workflow files, run by act on this machine as GitHub would dispatch them.

What differs from GitHub, and only that: act knows no `queue:` and no `$/`, so it gets a copy of
the checkout without the first, and with what GitHub resolves the second to, this repository at a
commit, read from that copy: it works in the empty workspace that a job begins with. Actions of
others are replaced by local ones that do nothing here, because their tools are installed.
Environments, their reviewers and the queue are GitHub's own: reviewers answer through its API,
played here, and dispatches queue as each file's `concurrency:` says (GitHub keeps one that waits,
or up to a hundred with `queue: max`). The action `setup` installs for real where a test asks for
it; else its `uv` links this checkout's environment.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from uv import find_uv_bin

from model_release import ROOT
from tests.github import REPOSITORY, RUN

COMMIT = "main"
"""What stands for the commit that runs, behind `$/`; the copy of this checkout is read for it."""
FOREIGN = re.compile(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
ACTION = """\
name: replaced
description: what it would install is on this machine
runs:
  using: composite
  steps:
    - shell: bash
      run: {run}
"""
KEPT = ("DOCKER_HOST", "HOME", "SSL_CERT_FILE", "UV_CACHE_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL",
        "PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
        "no_proxy", "UV_NATIVE_TLS", "REQUESTS_CA_BUNDLE")  # fmt: skip
UV = """#!/bin/sh
case "$1" in
  venv) ln -sfn '{environment}' .venv ;;
  pip) ;; # all of requirements.txt is there
  *) exec '{uv}' "$@" ;;
esac
"""
SECONDS = 900.0


@dataclass(frozen=True)
class WorkflowRun:
    """A workflow that ran: whether it succeeded, its log, its job summaries."""

    succeeded: bool
    log: str = field(repr=False)
    jobs: Mapping[str, str]

    def refused_at(self) -> str:
        """The first job that failed."""
        return next((name for name, result in self.jobs.items() if result == "failed"), "none")


@dataclass
class WorkflowRunner:
    """A copy of this checkout as a repository on GitHub, with what is configured there.

    Args:
        folder: scratch.
        k8s: manifests that take the place of the checkout's.
        models: file name → text of more `models/*.yaml`.
        variables: the repository's.
        secrets: the repository's and its environments'; act does not tell them apart.
        api: address of GitHub's API.
    """

    folder: Path
    k8s: Path
    models: Mapping[str, str]
    variables: dict[str, str]
    secrets: dict[str, str] = field(repr=False)
    api: str
    queues: dict[str, list[object]] = field(default_factory=dict)
    _turn: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        """Copy the files that git knows or would take, make act's changes, commit."""
        self.checkout.mkdir(parents=True)
        listed = self._git("ls-files", "-z", "--cached", "--others", "--exclude-standard", at=ROOT)
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file() and not name.startswith("k8s/"):
                (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.checkout / name)
        shutil.copytree(self.k8s, self.checkout / "k8s")
        for name, text in self.models.items():
            (self.checkout / "models" / name).write_text(text, encoding="utf-8")
        self._foreign: set[tuple[str, str]] = set()
        for path in (self.checkout / ".github").rglob("*.yaml"):
            text = path.read_text(encoding="utf-8")
            self._foreign |= set(FOREIGN.findall(text))
            text = re.sub(r"(?m)^  queue: max\n", "", text)
            text = re.sub(r"uses: \$/(\S+)", rf"uses: {REPOSITORY}/\1@{COMMIT}", text)
            path.write_text(text, encoding="utf-8")
        for name, run in (("nothing", "'true'"), ("copy", f"cp -a '{self.checkout}/.' .")):
            (self.folder / name).mkdir()
            (self.folder / name / "action.yml").write_text(ACTION.format(run=run))
        uv = self.folder / "bin" / "uv"
        uv.parent.mkdir()
        uv.write_text(UV.format(environment=sys.prefix, uv=find_uv_bin()))
        uv.chmod(0o755)
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("remote", "add", "origin", f"https://github.com/{REPOSITORY}.git")
        self._git("add", "--all")
        who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        self._git(*who, "commit", "--quiet", "--no-verify", "-m", "a copy")

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    def dispatch(
        self, workflow: str, *, event: str = "workflow_dispatch", actor: str = "ada",
        run: str = RUN, variables: Mapping[str, str] | None = None, install: bool = False,
        **inputs: str,
    ) -> WorkflowRun:  # fmt: skip
        """Run a workflow to its end, as its event would start it; `install`: with a new .venv."""
        command = self._command(workflow, event, actor, run, variables or {})
        for name, value in inputs.items():
            command += ["--input", f"{name}={value}"]
        with self._queued(workflow, inputs) as kept:
            return self._run(command, install) if kept else WorkflowRun(False, "cancelled", {})

    @contextmanager
    def _queued(self, workflow: str, inputs: Mapping[str, str]) -> Iterator[bool]:
        """Wait for this run's turn; false where GitHub would have dropped it for a newer one."""
        text = (ROOT / f".github/workflows/{workflow}.yaml").read_text(encoding="utf-8")
        concurrency = yaml.safe_load(text)["concurrency"]
        assert concurrency["cancel-in-progress"] is False
        group = re.sub(
            r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], concurrency["group"]
        )
        queue, me = self.queues.setdefault(group, []), object()
        with self._turn:
            if concurrency.get("queue") != "max":
                del queue[1:]
            queue.append(me)
            self._turn.notify_all()
            self._turn.wait_for(lambda: me not in queue or queue[0] is me)
        try:
            yield me in queue
        finally:
            with self._turn:
                if me in queue:
                    queue.remove(me)
                self._turn.notify_all()

    def _run(self, command: list[str], install: bool) -> WorkflowRun:
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env=self._environment(install),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        log = done.stdout + done.stderr
        return WorkflowRun(done.returncode == 0, log, _jobs(log))

    def _command(
        self, workflow: str, event: str, actor: str, run: str, variables: Mapping[str, str]
    ) -> list[str]:
        replaced = [
            f"--local-repository={name}@{ref}={self._replacement(name)}"
            for name, ref in sorted(self._foreign)
        ]
        replaced.append(f"--local-repository={REPOSITORY}@{COMMIT}={self.checkout}")
        told = [f"--var={name}={value}" for name, value in {**self.variables, **variables}.items()]
        kept = [f"--env={name}={os.environ[name]}" for name in KEPT if os.environ.get(name)]
        return [
            *("act", event, "--workflows", f".github/workflows/{workflow}.yaml"),
            *("--platform=ubuntu-24.04=-self-hosted", "--container-daemon-socket=-", "--rm"),
            *("--actor", actor, f"--env=GITHUB_API_URL={self.api}", f"--env=GITHUB_RUN_ID={run}"),
            *(
                "--env=PYTHONPATH=.",
                "--action-cache-path",
                str(self.folder / "cache"),
                "--action-offline-mode",
            ),
            *(f"--secret={name}" for name in self.secrets),
            *replaced,
            *told,
            *kept,
        ]

    def _replacement(self, action: str) -> Path:
        return self.folder / ("copy" if action == "actions/checkout" else "nothing")

    def _environment(self, install: bool) -> dict[str, str]:
        """Variables of act itself, secrets among them: they stand in no argument list."""
        kept = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
        path = os.environ["PATH"] if install else f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {**kept, **self.secrets, "PATH": path, "XDG_CACHE_HOME": str(self.folder)}

    def _git(self, *arguments: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=at or self.checkout, capture_output=True, text=True, check=True
        )
        return done.stdout


def _jobs(log: str) -> dict[str, str]:
    """Job → succeeded or failed, as act says in its log."""
    found = re.findall(r"\[[^\]/]+/([\w-]+)\s*\].* Job (succeeded|failed)", log)
    return dict(found)
