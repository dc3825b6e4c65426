"""Policy: what every workflow and composite action has to be, read from the files themselves."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_release import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.y*ml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.y*ml"))
DEPLOYS = ("model-deploy", "model-rollback", "release-audit")
PINNED = re.compile(r"uses: (?P<action>[\w.-]+/[\w./-]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
UNTRUSTED = re.compile(r"\$\{\{")


def read(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def triggers(workflow: dict[Any, Any]) -> dict[str, Any]:
    """`on:` is what YAML 1.1 reads as true."""
    found: dict[str, Any] = workflow[True]
    return found


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    content = read(path)
    for place in [content["runs"]] if "runs" in content else content["jobs"].values():
        yield from place.get("steps", ())


def test_there_is_something_to_check() -> None:
    assert {path.stem for path in WORKFLOWS} >= {*DEPLOYS, "pr-checks", "compatibility"}
    assert {path.parent.name for path in ACTIONS} == {"setup", "access"}


every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
every_file = pytest.mark.parametrize(
    "path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.stem}"
)


@every_file
def test_actions_of_others_are_pinned_by_commit_with_their_version(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if "uses: " in line and "uses: $/.github/" not in line and not line.startswith("#"):
            assert PINNED.search(line), line


def test_an_action_has_the_same_pin_everywhere() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*WORKFLOWS, *ACTIONS])
    uses = set(re.findall(r"uses: ([\w.-]+/[\w./-]+)(@.+)", text))
    assert len({action for action, _ in uses}) == len(uses)


@every_file
def test_no_expression_reaches_a_shell(path: Path) -> None:
    for step in steps(path):
        assert not UNTRUSTED.search(step.get("run", "")), step


@every_file
def test_a_run_is_a_few_lines(path: Path) -> None:
    for step in steps(path):
        assert len(step.get("run", "").splitlines()) <= 8, "make it a script"


@every_file
def test_no_gate_or_deploy_may_fail_quietly(path: Path) -> None:
    assert "continue-on-error" not in path.read_text(encoding="utf-8")


@every_workflow
def test_permissions_are_none_on_top_and_least_with_a_reason_below(path: Path) -> None:
    assert read(path)["permissions"] == {}
    for name, job in jobs(path).items():
        assert isinstance(job.get("permissions"), dict), f"{name} says no permissions"
    text = path.read_text(encoding="utf-8")
    for line in re.findall(r"(?m)^ {6}[a-z-]+: (?:read|write)\b.*$", text):
        assert re.search(r" # \w+", line), f"no reason: {line}"


@every_workflow
def test_jobs_have_a_timeout_and_a_named_system(path: Path) -> None:
    for name, job in jobs(path).items():
        assert 0 < job["timeout-minutes"] <= 60, name
        assert job["runs-on"] == "ubuntu-24.04", name


@every_workflow
def test_the_shell_is_bash_with_pipefail(path: Path) -> None:
    assert read(path)["defaults"] == {"run": {"shell": "bash"}}


@every_file
def test_checkouts_keep_no_credentials(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("actions/checkout@", "actions/setup/action.yaml"),
        ("job.workflow_sha", "actions/setup/action.yaml"),
        ("registry: ghcr.io", "actions/access/action.yaml"),
        ("password: ${{ github.token }}", "actions/access/action.yaml"),
        ("vars.PRODUCTION_PROTECTION", "workflows/model-deploy.yaml"),
    ],
)
def test_what_is_decided_once_stands_in_one_place(text: str, place: str) -> None:
    files = [*WORKFLOWS, *ACTIONS]
    found = {path: path.read_text(encoding="utf-8").count(text) for path in files}
    assert {path: count for path, count in found.items() if count} == {GITHUB / place: 1}


@every_workflow
def test_every_job_begins_with_the_checkout_of_setup(path: Path) -> None:
    for name, job in jobs(path).items():
        if any("run" in step for step in job["steps"]):
            assert job["steps"][0]["uses"] == "$/.github/actions/setup", name


@every_workflow
def test_mlflows_credentials_are_named_once_and_every_job_that_has_them_asks_it(path: Path) -> None:
    credentials = re.findall(r"secrets\.(MLFLOW_\w+)", path.read_text(encoding="utf-8"))
    assert len(credentials) == len(set(credentials))
    shared = str(read(path).get("env"))
    assert set(re.findall(r"secrets\.(\w+)", shared)) <= set(credentials)
    for name, job in jobs(path).items():
        if "secrets.MLFLOW" in f"{shared}{job.get('env')}":
            assert any("scripts/" in step.get("run", "") for step in job["steps"]), name


@every_workflow
def test_nothing_that_deploys_is_cancelled_or_dropped(path: Path) -> None:
    concurrency = read(path)["concurrency"]
    deploys = path.stem in DEPLOYS
    assert concurrency["cancel-in-progress"] is not deploys
    assert concurrency.get("queue") == ("max" if deploys else None)


def test_a_rollback_does_not_wait_behind_a_release_that_waits_for_its_approver() -> None:
    groups = [read(GITHUB / f"workflows/{name}.yaml")["concurrency"]["group"] for name in DEPLOYS]
    assert groups == [
        "release-${{ inputs.model_name }}",
        "rollback-${{ inputs.model_name }}",
        "release-audit",
    ]


def test_both_ways_to_start_a_release_take_the_same_inputs() -> None:
    on = triggers(read(GITHUB / "workflows/model-deploy.yaml"))
    dispatched, called = on["workflow_dispatch"]["inputs"], on["workflow_call"]["inputs"]
    shown = ("description", "required", "default")
    assert {name: [each.get(key) for key in shown] for name, each in dispatched.items()} == {
        name: [each.get(key) for key in shown] for name, each in called.items()
    }


def test_the_road_is_the_order_of_the_jobs_and_outputs_are_two() -> None:
    found = jobs(GITHUB / "workflows/model-deploy.yaml")
    assert list(found) == ["validate", "build", "deploy-staging", "deploy-production"]
    assert [job.get("needs") for job in found.values()] == [
        None,
        "validate",
        ["validate", "build"],
        ["validate", "build", "deploy-staging"],
    ]
    outputs = {name: list(job["outputs"]) for name, job in found.items() if "outputs" in job}
    assert outputs == {"validate": ["release"], "build": ["digest"]}
    last = [step["run"] for step in found["deploy-production"]["steps"] if "run" in step]
    assert "scripts/promote_model.py" in last[-2]
    assert found["deploy-production"]["environment"]["name"] == "production"
    assert "url" in found["deploy-production"]["environment"]


@pytest.mark.parametrize("name", ["model-deploy", "model-rollback", "release-audit"])
def test_cluster_credentials_are_an_environments_own(name: str) -> None:
    for job in jobs(GITHUB / f"workflows/{name}.yaml").values():
        if "secrets.KUBECONFIG" in str(job) or "vars.AWS_ROLE" in str(job):
            assert job.get("environment"), "only an environment holds the credentials of a cluster"


def test_a_token_goes_to_no_other_registry_than_githubs() -> None:
    """`github.token` is a password only where no other host is named, and only of ghcr.io."""
    given = [
        step
        for path in [*WORKFLOWS, *ACTIONS]
        for step in steps(path)
        if "github.token" in str(step.get("with"))
    ]
    assert [(step["if"], step["with"]["registry"]) for step in given] == [
        ("inputs.registry == ''", "ghcr.io")
    ]
    for path in WORKFLOWS:
        for step in steps(path):
            if step.get("uses") == "$/.github/actions/access":
                assert step["with"]["registry"] == "${{ vars.REGISTRY_HOST }}"
                assert step["with"]["registry-password"] == "${{ secrets.REGISTRY_PASSWORD }}"


@every_workflow
def test_scripts_that_are_called_exist(path: Path) -> None:
    called = re.findall(r"scripts/\w+\.py", path.read_text(encoding="utf-8"))
    assert [script for script in called if not (ROOT / script).is_file()] == []


def test_uv_is_the_one_of_the_lock() -> None:
    setup = (GITHUB / "actions/setup/action.yaml").read_text(encoding="utf-8")
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    locked = re.search(r"(?m)^uv==(\S+)", lock)
    assert locked
    assert f'version: "{locked[1]}"' in setup


def test_all_folders_of_actions_are_kept_up_to_date() -> None:
    (actions,) = (
        each
        for each in read(GITHUB / "dependabot.yml")["updates"]
        if each["package-ecosystem"] == "github-actions"
    )
    wanted = {"/", *(f"/{path.parent.relative_to(ROOT).as_posix()}" for path in ACTIONS)}
    assert set(actions["directories"]) == wanted


@every_file
def test_tests_and_scripts_that_are_run_are_there(path: Path) -> None:
    for step in steps(path):
        for named in re.findall(r"(?:tests|scripts)/[\w/.-]+", step.get("run", "")):
            assert (ROOT / named).exists(), named


def test_one_job_waits_for_all_others() -> None:
    found = jobs(GITHUB / "workflows/pr-checks.yaml")
    checks = found.pop("checks")
    assert set(checks["needs"]) == set(found)
    assert checks["if"] == "always()"
