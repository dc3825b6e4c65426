"""The ledger on a real server: one outcome of many, whoever dies, whatever the network does."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from model_release import releases
from model_release.errors import OutsideError, RefusedError
from model_release.registry import Registry
from model_release.releases import history, moves
from model_release.releases.ledger import Ledger, read_ledger
from model_release.stations.promote_model import promote_model
from tests.integration.ledger.dying_processes import (
    KILLED,
    fixed_target,
    forkserver,
    promote_once,
    ready,
    run_and_die,
)
from tests.integration.ledger.proxy import Fault, Proxy, injecting

NewModel = Callable[[Registry, int], str]
RACERS = 20


@pytest.fixture
def registry(sqlite_server: str) -> Registry:
    return Registry(sqlite_server)


@pytest.fixture
def proxy(sqlite_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with injecting(sqlite_server) as found:
        yield found


def check_coherent(registry: Registry, model: str) -> Ledger:
    """Ledger, aliases and releases say the same, and nothing is under way."""
    ledger = read_ledger(registry, model)
    current = ledger.current()
    assert current is not None
    assert ledger.under_way is None
    assert registry.alias(model, "champion") == current.after
    assert moves.behind(ledger, current) == []
    if current.kind != "mend" and current.before not in ("", current.after):
        assert registry.alias(model, "previous-champion") == current.before
    return ledger


def crowned(registry: Registry, model: str, version: str = "1") -> str:
    """Promote a version as the first champion; return its release."""
    release = ready(registry, model, version, "")
    promote_model(release, fixed_target(release))
    return release.id


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite_server", "postgres_server"])
def test_of_twenty_promotions_at_once_one_wins_and_the_others_are_told(
    database: str, request: pytest.FixtureRequest, new_model: NewModel
) -> None:
    url = request.getfixturevalue(database)
    registry = Registry(url)
    model = new_model(registry, RACERS + 1)
    crowned(registry, model)
    runs = [ready(registry, model, str(n + 2), "1").id for n in range(RACERS)]
    processes = forkserver()
    gate, answers = processes.Barrier(RACERS), processes.Queue()
    racers = [
        processes.Process(target=promote_once, args=(url, run, gate, answers)) for run in runs
    ]
    for racer in racers:
        racer.start()
    told_by = [answers.get(timeout=300) for _ in racers]
    for racer in racers:
        racer.join(60)

    assert sorted(code for _, code, _ in told_by) == [0] + [1] * (RACERS - 1), told_by
    winner = next(version for version, code, _ in told_by if code == 0)
    ledger = check_coherent(registry, model)
    assert [(e.kind, e.after, e.done) for e in ledger.entries] == [
        ("promotion", "1", True),
        ("promotion", winner, True),
    ]
    for version, code, text in told_by:
        if code:
            assert f"version {winner}" in text, (version, text)
    states = {releases.load(registry, run).state for run in runs}
    assert states == {"open", "released"}


@pytest.mark.long
def test_killed_at_any_write_the_next_run_ends_in_the_same_state(
    registry: Registry, new_model: NewModel
) -> None:
    killed = 0
    for before in (True, False):
        for at in range(1, 100):
            model = new_model(registry, 2)
            first = crowned(registry, model)
            release = ready(registry, model, "2", "1")
            code = run_and_die(registry.uri, "promote", [release.id], at, before)
            if code == 0:
                break
            assert code == KILLED
            killed += 1
            promote_model(releases.load(registry, release.id), fixed_target(release))
            ledger = check_coherent(registry, model)
            assert [(e.after, e.done) for e in ledger.entries] == [("1", True), ("2", True)]
            assert releases.load(registry, first).tags["champion.succeeded_by"] == release.id
        assert at > 5, "a promotion writes more than that"
    assert killed > 10


@pytest.mark.long
def test_killed_first_promotion_with_no_ledger_yet(registry: Registry, new_model: NewModel) -> None:
    """Also the ledger itself is made by somebody who may die."""
    for before in (True, False):
        for at in range(1, 20):
            model = new_model(registry, 1)
            code = run_and_die(registry.uri, "start", [model], at, before)
            if code == 0:
                break
            assert code == KILLED
            crowned(registry, model)
            ledger = check_coherent(registry, model)
            assert len(ledger.entries) == 1


def test_a_foreign_write_is_seen(registry: Registry, new_model: NewModel) -> None:
    model = new_model(registry, 3)
    crowned(registry, model)
    release = ready(registry, model, "2", "1")
    registry.set_alias(model, "champion", "3")
    with pytest.raises(RefusedError, match=r"found version 3: somebody moved the alias by hand"):
        promote_model(release, fixed_target(release))
    assert registry.alias(model, "champion") == "3", "it is not overwritten"
    assert len(read_ledger(registry, model).entries) == 1


def test_a_foreign_write_after_the_decision_calls_the_move_off(
    registry: Registry, new_model: NewModel
) -> None:
    model = new_model(registry, 3)
    crowned(registry, model)
    release = ready(registry, model, "2", "1")
    ledger, entry = read_ledger(registry, model).decide(
        "promotion", "champion", before="1", after="2", release=release.id
    )
    registry.set_alias(model, "champion", "3")
    with pytest.raises(RefusedError, match=r"found version 3: somebody else moved it"):
        moves.finish(ledger, entry, fresh=True)
    found = read_ledger(registry, model)
    assert found.under_way is None
    assert history.current(found.entries) == found.entry(1)
    assert registry.alias(model, "champion") == "3"


def test_one_that_wakes_up_late_does_not_undo_what_came_after(
    registry: Registry, new_model: NewModel
) -> None:
    model = new_model(registry, 3)
    crowned(registry, model)
    second, third = ready(registry, model, "2", "1"), ready(registry, model, "3", "2")
    sleeper, entry = read_ledger(registry, model).decide(
        "promotion", "champion", before="1", after="2", release=second.id
    )
    # It finishes what the sleeper decided, then makes its own move.
    promote_model(third, fixed_target(third))
    assert [e.after for e in check_coherent(registry, model).entries] == ["1", "2", "3"]
    registry.set_alias(model, "champion", "2")  # the sleeper's write, that was on its way
    moves.finish(sleeper, entry)
    moves._catch_up(read_ledger(registry, model), entry)
    check_coherent(registry, model)


def first_time(fault: Fault) -> Callable[[str, str, int], Fault]:
    """Every request meets the fault once."""
    return lambda method, path, before: "" if before else fault


@pytest.mark.long
@pytest.mark.parametrize("fault", ["500", "reset", "reset-after", "hang-after", "slow"])
def test_whatever_happens_to_every_request_nothing_is_written_twice_or_lost(
    proxy: Proxy, registry: Registry, new_model: NewModel, fault: Fault
) -> None:
    model = new_model(registry, 2)
    crowned(registry, model)
    shaken = Registry(proxy.url)
    proxy.rule = first_time(fault)
    release = ready(shaken, model, "2", "1")
    promote_model(release, fixed_target(release))
    assert len(proxy.injected) >= 15
    ledger = check_coherent(registry, model)
    assert [(e.kind, e.after, e.done) for e in ledger.entries] == [
        ("promotion", "1", True),
        ("promotion", "2", True),
    ]
    runs = registry.find_runs(f"releases/{model}", {"release.version": "2"})
    assert runs == [release.id], "a run whose answer was lost is not made twice"


@pytest.mark.long
def test_thirty_seconds_of_500s_are_outlived(
    proxy: Proxy, registry: Registry, new_model: NewModel
) -> None:
    model = new_model(registry, 1)
    shaken = Registry(proxy.url)
    release = ready(shaken, model, "1", "")
    until = time.monotonic() + 30
    proxy.rule = lambda method, path, before: "500" if time.monotonic() < until else ""
    promote_model(release, fixed_target(release))
    assert time.monotonic() > until
    assert len(check_coherent(registry, model).entries) == 1


@pytest.mark.long
@pytest.mark.parametrize("path", ["runs/log-parameter", "registered-models/alias"])
def test_a_server_that_does_not_come_back_ends_in_exit_code_3_and_nothing_is_lost(
    proxy: Proxy,
    registry: Registry,
    new_model: NewModel,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    monkeypatch.setenv("REGISTRY_RETRY_SECONDS", "2")
    model = new_model(registry, 1)
    shaken = Registry(proxy.url)
    release = ready(shaken, model, "1", "")
    proxy.rule = lambda method, where, before: "500" if path in where else ""
    with pytest.raises(OutsideError) as caught:
        promote_model(release, fixed_target(release))
    assert caught.value.exit_code == 3
    assert registry.alias(model, "champion") is None
    proxy.calm()
    promote_model(releases.load(shaken, release.id), fixed_target(release))
    assert len(check_coherent(registry, model).entries) == 1


def test_a_ledger_of_the_future_is_refused(registry: Registry, new_model: NewModel) -> None:
    model = new_model(registry, 2)
    crowned(registry, model)
    release = ready(registry, model, "2", "1")
    registry.write_run(read_ledger(registry, model).run_id, tags={"ledger.format": "2"})
    with pytest.raises(OutsideError, match=r"expected format 1 or older; found format 2"):
        promote_model(release, fixed_target(release))
    assert registry.alias(model, "champion") == "1"


def test_two_champions_claimed_by_hand_are_refused(registry: Registry, new_model: NewModel) -> None:
    model = new_model(registry, 2)
    crowned(registry, model)
    release = ready(registry, model, "2", "1")
    registry.set_alias(model, "Champion", "2")
    with pytest.raises(RefusedError, match=r"alias Champion of .*, version 2; expected only"):
        promote_model(release, fixed_target(release))
    assert registry.alias(model, "champion") == "1"


def test_an_experiment_that_something_else_made_is_refused(
    registry: Registry, new_model: NewModel
) -> None:
    model = new_model(registry, 1)
    registry.create_experiment(f"releases/{model}", {})
    with pytest.raises(OutsideError, match=r"experiment releases/.*expected the tag ledger\.run"):
        ready(registry, model, "1", "")


def test_a_damaged_ledger_is_not_guessed_at(registry: Registry, new_model: NewModel) -> None:
    model = new_model(registry, 1)
    crowned(registry, model)
    registry.write_once(read_ledger(registry, model).run_id, "entry.000003", "{}")
    with pytest.raises(OutsideError, match=r"ledger of"):
        read_ledger(registry, model)


def test_a_release_that_was_rolled_back_is_not_promoted_again(
    registry: Registry, new_model: NewModel
) -> None:
    model = new_model(registry, 2)
    first = crowned(registry, model)
    second = ready(registry, model, "2", "1")
    promote_model(second, fixed_target(second))
    ledger, entry = read_ledger(registry, model).decide(
        "rollback", "champion", before="2", after="1", release=first, reason="wrong answers"
    )
    moves.finish(ledger, entry)
    with pytest.raises(RefusedError, match=r"champion until 20.*, rolled back: wrong answers"):
        promote_model(releases.load(registry, second.id), fixed_target(second))
    check_coherent(registry, model)
    registry.write_run(second.id, tags={"champion.until": ""})
    with pytest.raises(RefusedError, match=r"champion before; when that ended is not recorded, "):
        promote_model(releases.load(registry, second.id), fixed_target(second))


def test_a_promotion_waits_for_a_rollback_under_way(
    registry: Registry, new_model: NewModel
) -> None:
    model = new_model(registry, 3)
    first = crowned(registry, model)
    second = ready(registry, model, "2", "1")
    promote_model(second, fixed_target(second))
    third = ready(registry, model, "3", "2")
    read_ledger(registry, model).decide(
        "rollback", "champion", before="2", after="1", release=first, reason="wrong answers"
    )
    goes_on = rf"rollback_model\.py.*--release {first} .*--target"
    with pytest.raises(RefusedError, match=f"{goes_on} kubernetes$"):
        promote_model(third, replace(fixed_target(third), name="kubernetes"))
    with pytest.raises(RefusedError, match=f"{goes_on} '<local or kubernetes>'$"):
        moves.settle(read_ledger(registry, model))
