"""What stations left of a release, altered afterwards: refused wherever it is read or relied on.

The registry is a real one, on SQLite; that a station goes no further is seen on a target that
nobody may touch, and on registry and files, which are as before.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from model_release import commands, releases
from model_release.digest import model_digest
from model_release.errors import RefusedError, ReleaseError
from model_release.identity import Identity
from model_release.image.context import build_context
from model_release.operations.audit_release import Audit
from model_release.operations.describe_release import describe_release
from model_release.operations.rollback_model import rollback_model
from model_release.releases import Release, names
from model_release.report.progress import Progress
from model_release.stations.approve_model import Approval, approve_model
from model_release.stations.deploy_model import deploy_model, prepared
from model_release.stations.promote_model import promote_model
from model_release.stations.smoke_test import smoke_test
from model_release.stations.validate_model import champion_of
from model_release.targets import Running
from model_release.workspace import Workspace
from tests.bad_models.limits import write_limits
from tests.integration.conftest import MLFLOW_WARNS

pytestmark = [pytest.mark.filterwarnings(each) for each in MLFLOW_WARNS]

GATE = {"gate": "integrity", "status": "passed", "required": "", "found": "", "next_step": ""}
REPORT = json.dumps(
    {"version": "1", "champion": None, "outcome": "passed", "exit_code": 0}
    | {"gates": [GATE | {"seconds": 0.1, "facts": {}}], "metrics": {}, "slices": [], "limits": {}}
)
EVIDENCE = {
    "validate": {
        names.REPORT: REPORT,
        names.LOCK: "numpy==2.0.0 --hash=sha256:00\n",
        names.GOLDEN: json.dumps([{"request": {}, "predictions": [1.0]}]),
    },
    "build": {names.SBOM: "{}"},
    "deploy-staging": {"rollout.md": "# staging\n", names.MANIFEST: "kind: Deployment\n"},
    "smoke": {names.CHECKS: "[]"},
    "approve": {},
    "deploy-production": {"rollout.md": "# production\n", names.MANIFEST: "kind: Deployment\n"},
}
"""What each station leaves. That it is little makes no difference to who compares it."""

ALTERATIONS: dict[str, Callable[[Path], object]] = {
    "a byte": lambda path: path.write_bytes(
        bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]
    ),
    "a line": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "gone": lambda path: path.unlink(),
}
NUMBERS = itertools.count(1)
APPROVAL = Approval(protected=True, user="ada", given="ada")
PAGE = ("page/release.html", "page/release.md")


@dataclass
class Untouched:
    """Production as it is; whoever deploys there fails the test."""

    identity: Identity
    name: str = "local"
    runs_images: bool = False

    def find(self, environment: str, model: str) -> Running:
        return Running(environment, self.identity, "", 1, datetime.now(UTC))

    def deploy(self, *_: object) -> Running:
        raise AssertionError("it was deployed")

    def manifest(self, *_: object) -> str:
        return ""

    def diff(self, *_: object) -> str:
        return ""

    def faults(self, *_: object) -> list[str]:
        return []


@dataclass
class Place:
    """A state folder with a registry, and one model whose versions go some way down the road."""

    workspace: Workspace
    model: str
    watch: sqlite3.Connection

    @property
    def home(self) -> Path:
        return self.workspace.home

    def load(self, run_id: str) -> Release:
        return releases.load(self.workspace.registry, run_id)

    def file(self, run_id: str, path: str) -> Path:
        """A file of a release in the artifact store; what was read of it before is forgotten."""
        self.workspace.registry._files.pop((run_id, path), None)
        return self.home / "artifacts/releases" / self.model / run_id / "artifacts" / path

    def state(self) -> tuple[int, list[Path]]:
        """What changes with anything that is written to the registry, and the contexts."""
        (commits,) = self.watch.execute("PRAGMA data_version").fetchone()
        return int(commits), sorted((self.home / "contexts").rglob("*"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "contexts").mkdir()
    Workspace(folder, folder / "models.d").registry.experiments("")
    return folder


@pytest.fixture
def place(home: Path) -> Iterator[Place]:
    name = f"altered-{next(NUMBERS)}"
    write_limits(home / "models.d", name)
    workspace = Workspace(home, home / "models.d", progress=Progress(quiet=True))
    client: Any = workspace.registry._client
    client.create_registered_model(name)
    files = home / "source" / name
    files.mkdir(parents=True)
    (files / "MLmodel").write_text("flavors: {}\n")
    for _ in range(2):
        client.create_model_version(name, str(files))
    with closing(sqlite3.connect(home / "mlflow.db")) as watch:
        yield Place(workspace, name, watch)


def begin(place: Place, version: str = "1", champion: str = "") -> Release:
    """A release that has just begun."""
    digest = model_digest(place.home / "source" / place.model)
    facts = {names.CHAMPION: champion, names.CONFIG: "c", names.SOURCE_RUN: ""}
    facts |= {names.SOFTWARE: "0.2"}
    return releases.start(place.workspace.registry, place.model, version, digest, facts)


def walk(place: Place, release: Release, station: str) -> Release:
    """Pass every station before this one, as the stations record it."""
    for each in commands.before(station):
        if each == "build":
            release, _ = build_context(place.workspace, release)
        tags = {}
        if each == "validate":
            tags = {names.VALIDATED: "passed", names.BATCHING: "true", names.LOCK_DIGEST: "l"}
        if each == "approve":
            tags = {names.approval_tag(fact): "ada" for fact in ("by", "at", "how")}
        release = release.record(each, "passed", evidence=EVIDENCE[each], tags=tags)
    release.keep("page", {"release.html": "<p>page</p>", "release.md": "page"})
    return place.load(release.id)


def _promote(place: Place, release: Release) -> object:
    return promote_model(release, Untouched(release.identity))  # type: ignore[arg-type]


def _deploy(environment: str) -> Callable[[Place, Release], object]:
    def deploy(place: Place, release: Release) -> object:
        target: Any = Untouched(release.identity)
        return deploy_model(place.workspace, release, environment, target, APPROVAL)

    return deploy


def _approve(place: Place, release: Release) -> object:
    return approve_model(release, by="ada", why="it is good", approved=True)


def _describe(place: Place, release: Release) -> object:
    target: Any = Untouched(release.identity)
    return describe_release(place.workspace, release, target)


STATIONS: dict[str, tuple[str, Callable[[Place, Release], object]]] = {
    "build": ("build", lambda place, release: build_context(place.workspace, release)),
    "deploy to staging": ("deploy-staging", _deploy("staging")),
    "smoke": ("smoke", lambda place, release: smoke_test(place.workspace, release, "http://[::1]")),
    "approve": ("approve", _approve),
    "deploy to production": ("approve", _deploy("production")),
    "promote": ("promote", _promote),
    "describe": ("promote", _describe),
}
"""Whoever works on a release that is not champion: how far it is, and what is done with it."""


def paths(station: str) -> list[str]:
    """The files that the stations before this one left."""
    return [f"{each}/{name}" for each in commands.before(station) for name in EVIDENCE[each]]


def refused(
    place: Place,
    run_id: str,
    path: str,
    action: Callable[[], object],
    ways: Collection[str] = ALTERATIONS.keys(),
) -> None:
    """Each alteration of a file is refused by its name, in one line, and nothing is done."""
    for how in ways:
        alter = ALTERATIONS[how]
        content = place.file(run_id, path).read_bytes()
        alter(place.file(run_id, path))
        before = place.state()
        with pytest.raises(ReleaseError) as said:
            action()
        text = str(said.value)
        assert isinstance(said.value, RefusedError), (how, text)
        assert f"artifact {path} of release {run_id[:8]}" in text, (how, text)
        assert "; expected sha256 " in text
        assert ("; found no such file" if how == "gone" else "; found sha256 ") in text
        assert "; next: " in text
        assert "\n" not in text
        assert place.state() == before, how
        place.file(run_id, path).write_bytes(content)


@pytest.mark.parametrize("name", STATIONS)
def test_a_station_refuses_what_was_altered(place: Place, name: str) -> None:
    station, action = STATIONS[name]
    release = walk(place, begin(place), station)
    for path in paths(station):
        refused(place, release.id, path, lambda: action(place, place.load(release.id)))
    assert place.load(release.id).alterations(page=True) == [], "all was put back"


def test_whoever_approves_has_read_the_page_that_was_made(place: Place) -> None:
    release = walk(place, begin(place), "approve")
    for path in PAGE:
        refused(place, release.id, path, lambda: _approve(place, place.load(release.id)))


def test_the_way_back_is_to_what_was_released(place: Place) -> None:
    first, second = released_twice(place)
    target: Any = Untouched(second.identity)
    for path, how in zip(paths("promote"), itertools.cycle(ALTERATIONS), strict=False):
        refused(
            place,
            first.id,
            path,
            lambda: rollback_model(place.workspace, place.model, target, reason="wrong answers"),
            [how],
        )


def test_a_challenger_is_compared_with_a_champion_in_its_own_environment(place: Place) -> None:
    _, champion = released_twice(place)
    path = f"validate/{names.LOCK}"
    refused(place, champion.id, path, lambda: champion_of(place.workspace, place.model))


def test_the_audit_names_what_was_altered(place: Place) -> None:
    _, champion = released_twice(place)
    audit = Audit(place.workspace, Untouched(champion.identity), grace=0.0)  # type: ignore[arg-type]
    altered = [*paths("promote"), *PAGE]
    contents = [place.file(champion.id, path).read_bytes() for path in altered]
    for path, how in zip(altered, itertools.cycle(ALTERATIONS), strict=False):
        ALTERATIONS[how](place.file(champion.id, path))
    found, _ = audit.model(place.model)
    assert {each.kind for each in found} == {"evidence-changed"}
    told = [each.expected.partition(": sha256 ")[0] for each in found]
    assert sorted(told) == sorted(f"artifact {path}" for path in altered)
    for path, content in zip(altered, contents, strict=True):
        place.file(champion.id, path).write_bytes(content)
    assert audit.model(place.model) == ([], [])


def released_twice(place: Place) -> tuple[Release, Release]:
    """The champion before and the champion."""
    first = walk(place, begin(place), "promote")
    _promote(place, first)
    second = walk(place, begin(place, "2", "1"), "promote")
    _promote(place, second)
    return first, second


def test_a_tag_is_not_the_only_place_of_the_truth(place: Place) -> None:
    release = walk(place, begin(place), "smoke")
    image = {names.IMAGE: "r/m@sha256:aa", names.IMAGE_DIGEST: "sha256:aa"}
    base = {names.BASE_IMAGE: "b", names.COMMIT: "c"}
    release = release.record("build", "passed", tags=image | base)
    release = walk(place, release, "promote")
    for tag in (*names.WRITTEN_ONCE, names.IMAGE, names.result("validate")):
        honest = release.tags[tag]
        found = place.load(release.note({tag: f"{honest}0"}).id)
        for name in ("identity", "config", "champion", "batching", "image_digest", "approved"):
            assert getattr(found, name) == getattr(release, name)
        before = place.state()
        with pytest.raises(RefusedError, match=f"^tag {tag} of release") as said:
            _promote(place, found)
        assert f"; found {honest}0; next: find out who changed it" in str(said.value)
        assert place.state() == before
        release.note({tag: honest})


def test_what_was_written_stays_whoever_writes(place: Place) -> None:
    """Not even the pipeline writes over what is bound, be it by a station that runs twice."""
    release = walk(place, begin(place), "smoke")
    twin = place.load(release.id)
    release.record("smoke", "passed", evidence={names.CHECKS: "[1]"})
    before = place.state()
    with pytest.raises(RefusedError, match=r"sha256\.smoke/checks\.json of release .* was written"):
        twin.record("smoke", "passed", evidence={names.CHECKS: "[2]"})
    assert place.state() == before
    assert place.file(release.id, "smoke/checks.json").read_text() == "[1]"
    place.load(release.id).check()


def test_a_refusal_that_may_be_followed_by_another_binds_nothing(place: Place) -> None:
    release = walk(place, begin(place), "smoke")
    for text in ("one", "two"):
        release = release.record("smoke", "refused", evidence={"refusal.txt": text})
    release.record("smoke", "passed", evidence={names.CHECKS: "[]"}).check()


def test_the_context_is_that_of_the_release_whatever_its_tag_says(place: Place) -> None:
    release = walk(place, begin(place), "smoke")
    context = place.workspace.context(release.id)
    (context / "requirements.lock").write_text("evil==1.0\n")
    found = place.load(release.note({names.CONTEXT_DIGEST: model_digest(context)}).id)
    with pytest.raises(RefusedError, match=r"context of release .*; expected sha256:"):
        prepared(place.workspace, found, Untouched(release.identity))  # type: ignore[arg-type]
