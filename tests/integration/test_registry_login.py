"""Which registry gets whose password: the action `access`, run by act; its login writes it down."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from model_release import ROOT
from tests.github import REPOSITORY

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
FOREIGN = re.compile(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
LOGIN = """\
name: login
description: writes down what it is given
inputs: {registry: {}, username: {}, password: {}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {GIVEN: "${{ toJSON(inputs) }}"}
      run: printf '%s' "$GIVEN" >>"$LOGINS"
"""
NOTHING = """\
name: nothing
description: needed for the login it is not
runs: {using: composite, steps: [{shell: bash, run: "true"}]}
"""


@pytest.mark.parametrize(
    ("variables", "secret", "login"),
    [
        ({}, "", ("ghcr.io", "ada", "of the job")),
        ({"REGISTRY_USERNAME": "bob"}, "of bob", ("ghcr.io", "bob", "of the job")),
        ({"REGISTRY_HOST": "registry:5000"}, "", None),
        ({"REGISTRY_HOST": "registry:5000"}, "of ada", ("registry:5000", "ada", "of ada")),
        (
            {"REGISTRY_HOST": "registry:5000", "REGISTRY_USERNAME": "bob"},
            "of bob",
            ("registry:5000", "bob", "of bob"),
        ),
        ({"REGISTRY_HOST": ECR, "REGISTRY_USERNAME": "bob"}, "", (ECR, "", "")),
    ],
    ids=["ghcr.io", "ghcr.io as bob", "no password", "password", "password of bob", "ECR"],
)
def test_each_registry_gets_its_own_password(
    variables: dict[str, str], secret: str, login: tuple[str, str, str] | None, tmp_path: Path
) -> None:
    """As a workflow hands the action variables and secrets, without those of the cluster."""
    logins, repository = tmp_path / "logins", _repository(tmp_path)
    action = (ROOT / ".github/actions/access/action.yaml").read_text(encoding="utf-8")
    options = [f"--local-repository={REPOSITORY}@main={repository}"]
    for name, ref in FOREIGN.findall(action):
        stand_in = "login" if name == "docker/login-action" else "nothing"
        options.append(f"--local-repository={name}@{ref}={tmp_path / stand_in}")
    options += [f"--var={name}={value}" for name, value in variables.items()]
    secrets = {"GITHUB_TOKEN": "of the job", "REGISTRY_PASSWORD": secret}
    options += [f"--secret={name}" for name, value in secrets.items() if value]
    subprocess.run(
        [
            *(str(Path(sys.executable).parent / "act"), "workflow_dispatch", "--actor=ada"),
            *("--platform=ubuntu-24.04=-self-hosted", "--container-daemon-socket=-", "--rm"),
            *("--action-cache-path", str(tmp_path / "cache"), "--action-offline-mode"),
            *(f"--env=LOGINS={logins}", *options),
        ],
        cwd=repository,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **secrets},
        check=True,
        capture_output=True,
        timeout=120,
    )
    given = json.loads(logins.read_text(encoding="utf-8")) if logins.exists() else None
    assert given == (login and dict(zip(("registry", "username", "password"), login, strict=True)))


def _repository(folder: Path) -> Path:
    """One with the action and one workflow, whose only step is model-deploy's for the build."""
    for name, text in (("login", LOGIN), ("nothing", NOTHING)):
        (folder / name).mkdir()
        (folder / name / "action.yml").write_text(text, encoding="utf-8")
    repository = folder / "repository"
    shutil.copytree(ROOT / ".github/actions", repository / ".github/actions")
    deploy = (ROOT / ".github/workflows/model-deploy.yaml").read_text(encoding="utf-8")
    steps = yaml.safe_load(deploy)["jobs"]["build"]["steps"]
    (step,) = (each for each in steps if each.get("uses") == "$/.github/actions/access")
    step["uses"] = f"{REPOSITORY}/.github/actions/access@main"
    workflow = {
        "on": "workflow_dispatch",
        "jobs": {"log-in": {"runs-on": "ubuntu-24.04", "steps": [step]}},
    }
    file = repository / ".github/workflows/log-in.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(workflow), encoding="utf-8")
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    for command in (("init", "--quiet"), ("add", "--all"), (*who, "commit", "--quiet", "-m", "it")):
        subprocess.run(["git", *command], cwd=repository, check=True, capture_output=True)
    return repository
