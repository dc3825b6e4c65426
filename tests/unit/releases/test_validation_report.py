"""The report of a validation: typed, kept as it was written, read where it is older."""

import json
from typing import Any

from model_release.gates.outcome import Outcome
from model_release.releases.validation_report import ValidationReport

ROW = {
    "status": "passed",
    "required": "files as registered",
    "found": "digest sha256:a",
    "next_step": "",
    "facts": {"files": 5.0},
    "gate": "integrity",
    "seconds": 0.1,
}
OLDER: dict[str, Any] = {
    "release": "r",
    "model": "iris",
    "version": "3",
    "digest": "sha256:a",
    "champion": None,
    "outcome": "passed",
    "exit_code": 0,
    "seconds": 1.5,
    "gates": [ROW],
    "metrics": {"accuracy": {"challenger": 0.9}},
}


def test_a_report_without_slices_and_limits_is_read() -> None:
    report = ValidationReport(json.dumps(OLDER))
    assert (report.version, report.champion, report.outcome, report.exit_code) == (
        *("3", None, "passed", 0),
    )
    assert report.metrics == {"accuracy": {"challenger": 0.9}}
    assert (list(report.slices), report.limits("latency")) == ([], {})


def test_a_gate_is_read_as_it_was_judged() -> None:
    report = ValidationReport.of(OLDER)
    judged = Outcome(
        "passed",
        "files as registered",
        "digest sha256:a",
        facts=(("files", 5.0),),
        gate="integrity",
        seconds=0.1,
    )
    assert report.gates == (judged,)
    assert (report.facts("integrity"), report.facts("latency")) == ({"files": 5.0}, {})


def test_it_is_written_as_it_always_was() -> None:
    assert ValidationReport.of(OLDER).text == json.dumps(OLDER, indent=2)
