"""Who lets a release into production without being somebody else: hidden dispatchers and trainers.

The registry is a real one; GitHub's API answers as docs.github.com shows.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from model_release import releases
from model_release.errors import RefusedError
from model_release.github.protection import rules
from model_release.releases import Release, names
from model_release.stations.approve_release import Trust, approve_release
from model_release.workspace import Workspace
from tests.github import RUN, Recorded, approval, serve
from tests.integration.conftest import MLFLOW_WARNS

pytestmark = [pytest.mark.filterwarnings(each) for each in MLFLOW_WARNS]

MODEL = "guarded"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("home")
    return Workspace(folder, folder / "models.d")


@pytest.fixture
def github() -> Iterator[Recorded]:
    with serve() as server:
        yield server


def staged(workspace: Workspace, user: str, trained_by: str) -> Release:
    """A release of a version whose run and tag name these."""
    registry, client = workspace.registry, _client(workspace)
    if not registry.has_model(MODEL):
        client.create_registered_model(MODEL)
    run_id = registry.create_run("training", "t", {"mlflow.user": user})
    tags = {"trained_by": trained_by} if trained_by else {}
    made = client.create_model_version(MODEL, "s3://nowhere/model", run_id, tags=tags)
    return releases.start(registry, MODEL, str(made.version), "sha256:1", {names.CHAMPION: ""})


def _client(workspace: Workspace) -> Any:
    return workspace.registry._client


@pytest.mark.parametrize(
    ("user", "trained_by", "again", "trainers", "problem"),
    [
        ("ben", "", (), (), ""),
        ("ben", "", ("joan",), (), ""),
        ("ben", "", ("eve",), (), "eve approved and dispatched the run"),
        ("ben", "", ("eve", "joan"), (), "eve approved and dispatched the run"),
        ("eve", "ben", (), (), "eve approved and trained the model"),
        ("ada", "ben", (), (), "ada dispatched the run and trained the model"),
        ("joan", "ben", ("joan",), (), "joan dispatched the run and trained the model"),
        ("ben", "ben", (), ("ben", "Eve"), "eve approved and trained the model"),
        ("ben", "ben", ("joan",), ("joan",), "joan dispatched the run and trained the model"),
        ("", "", (), (), "it is not known who trained the model"),
    ],
)
def test_nobody_hides_behind_another_name(
    workspace: Workspace,
    github: Recorded,
    user: str,
    trained_by: str,
    again: tuple[str, ...],
    trainers: tuple[str, ...],
    problem: str,
) -> None:
    """Dispatched by ada, run again by some, approved by eve."""
    github.reviewed("ada", approval("eve"))
    github.ran_again(*again)
    release = staged(workspace, user, trained_by)
    trust = Trust(separate=True, required=True, trainers=trainers)
    if not problem:
        approved = approve_release(release, github.client, RUN, trust)
        assert approved.approved.dispatcher == ", ".join(("ada", *again))
        return
    with pytest.raises(RefusedError, match=f"found {problem}; next: let another person"):
        approve_release(release, github.client, RUN, trust)
    assert not releases.load(workspace.registry, release.id).passed("approve")


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [("main+*a*", "branch"), ("ma[i]n", "branch"), ("release/?", "branch"), ("main", "tag")],
)
def test_a_pattern_is_no_named_branch(github: Recorded, pattern: str, kind: str) -> None:
    github.protect()
    path = "GET environments/production/deployment-branch-policies"
    github.answers[path]["branch_policies"].append({"id": 2, "name": pattern, "type": kind})
    client = github.client
    found = rules(
        "production", client.environment("production"), client.branch_policies("production")
    )
    assert [rule.name for rule in found if not rule.holds] == ["branches"]
