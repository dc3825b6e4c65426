"""The order of the gates, and what each of them has to offer."""

import inspect
import sys
from pathlib import Path

import pytest

from model_release.gates import ORDER, evidence, gates
from model_release.gates.outcome import GateLimits, Outcome


def test_every_file_is_a_gate_and_asked_in_the_order_that_is_written_down() -> None:
    assert tuple(gates()) == ORDER


def test_a_gate_that_the_order_does_not_name_is_asked_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "fairness.py").write_text("")
    (tmp_path / "age.py").write_text("")
    folders = [*sys.modules["model_release.gates"].__path__, str(tmp_path)]
    monkeypatch.setattr("model_release.gates.__path__", folders)
    assert tuple(gates.__wrapped__()) == (*ORDER, "age", "fairness")


def test_each_has_evidence_limits_and_a_judge() -> None:
    kinds = {kind for _, kind in inspect.getmembers(evidence, inspect.isclass)}
    for name, gate in gates().items():
        assert gate.EVIDENCE in kinds, name
        assert issubclass(gate.Limits, GateLimits), name
        judge = inspect.signature(gate.judge, eval_str=True)
        assert list(judge.parameters) == ["evidence", "limits"], name
        assert judge.return_annotation is Outcome, name


def test_no_two_gates_have_one_class_of_limits() -> None:
    assert len({gate.Limits for gate in gates().values()}) == len(gates())
