"""Configuration: a valid one is read, an invalid one is refused in one line."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_release import ROOT
from model_release.config import ModelConfig, load_config
from model_release.errors import UsageError
from model_release.gates import gates

SHA256 = "0" * 64
HOLDOUT = f"""
holdout: {{uri: data/rows.parquet, sha256: "{SHA256}", target: y, task: classification}}
"""
GATES = """
gates:
  claimed_metrics: {thresholds: {accuracy: {min: 0.9}}}
  measured_metrics: {thresholds: {f1_macro: {min: 0.8}, accuracy: {min: 0.9}}}
  champion: {max_regression: {accuracy: 0.01, recall_macro: 0.02}}
  slices: {columns: [region], thresholds: {accuracy: {min: 0.7}}}
"""

EVERY_SKIP = "gates:\n" + "".join(f"  {name}: {{skip: not today}}\n" for name in gates())


def _load(folder: Path, text: str, name: str = "wine") -> ModelConfig:
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_config(name, folder)


def _refused(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        _load(folder, text)
    message = str(caught.value)
    assert "\n" not in message
    assert "wine.yaml" in message
    assert "; next: " in message
    return message


def test_every_gate_has_limits_with_the_defaults_of_those_left_out(tmp_path: Path) -> None:
    config = _load(tmp_path, HOLDOUT + GATES)
    assert list(type(config.gates).model_fields) == list(gates())
    assert config.gates.latency == gates()["latency"].Limits()
    assert config.gates.champion.max_regression == {"accuracy": 0.01, "recall_macro": 0.02}
    assert config.source == tmp_path / "wine.yaml"
    assert config.holdout is not None
    assert (config.holdout.format, config.holdout.batch_rows) == ("parquet", 65_536)
    assert (config.local.staging_port, config.local.production_port) == (8181, 8180)
    assert config.production.protected is None


def test_metrics_are_those_that_gates_which_are_asked_need(tmp_path: Path) -> None:
    assert _load(tmp_path, HOLDOUT + GATES).metrics == ("f1_macro", "accuracy", "recall_macro")
    skipped = GATES.replace("champion: {", "champion: {skip: alone, ")
    assert _load(tmp_path, HOLDOUT + skipped).metrics == ("f1_macro", "accuracy")


@pytest.mark.parametrize("name", ["unknown", "../wine", "a/b", "..", "", "nul\0", "x" * 300])
def test_a_model_without_a_file_has_the_default(tmp_path: Path, name: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "wine.yaml").write_text("gates: {integrity: {skip: never read}}")
    shutil.copy(ROOT / "models/default.yaml", tmp_path / "models")
    config = load_config(name, tmp_path / "models")
    assert config.source.name == "default.yaml"
    assert {key: str(bound) for key, bound in config.gates.claimed_metrics.thresholds.items()} == {
        "accuracy": ">= 0.9",
        "f1_macro": ">= 0.85",
    }


def test_no_file_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no configuration for wine; expected wine\.yaml or"):
        load_config("wine", tmp_path)


def test_the_digest_names_the_limits_and_the_data_but_not_how_they_are_written(
    tmp_path: Path,
) -> None:
    written = _load(tmp_path, HOLDOUT + GATES)
    same = _load(
        tmp_path,
        "# another hand\n"
        + GATES.replace("0.9}", "0.90}")
        + "  latency: {batch_p50_ms: 1000}\n"
        + HOLDOUT
        + "local: {staging_port: 9000}\n",
    )
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", written.digest)
    assert same.digest == written.digest
    for old, new in (("0.01", "0.02"), ("rows.parquet", "other.parquet"), ("[region]", "[x]")):
        changed = _load(tmp_path, (HOLDOUT + GATES).replace(old, new))
        assert changed.digest != written.digest


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "claimed_metrics",
            "claimed_metric",
            "gates.claimed_metric: unknown key; expected claimed",
        ),
        (
            "max_regression",
            "max_regresion",
            "gates.champion.max_regresion: unknown key; expected max",
        ),
        ("{min: 0.7}", "{mn: 0.7}", "slices.thresholds.accuracy.mn: unknown key; expected min"),
        ("target: y", "targets: y", "holdout.targets: unknown key; expected target"),
        ("gates:", "gate:", "gate: unknown key; expected gates"),
        ("{min: 0.7}", "{min: high}", "should be a valid number"),
        ("{min: 0.7}", "{min: .inf}", "should be a finite number"),
        ("{min: 0.7}", "{min: .nan}", "should be a finite number"),
        ("{min: 0.7}", "{}", "a threshold needs min or max"),
        ("{min: 0.7}", "{min: 0.7, max: 0.6}", "min 0.7 is above max 0.6"),
        ("f1_macro", "f1_makro", "unknown metric 'f1_makro'; known: f1_macro"),
        ("recall_macro", "log_loss", "log_loss cannot be resampled"),
        ("recall_macro", "r2", "gates.champion: r2 is not a metric of classification"),
        ("accuracy: 0.01", "accuracy: -0.01", "greater than or equal to 0"),
        ("{columns: [region], ", "{columns: [], ", "gates.slices.columns"),
        ("{columns: [region], ", "{", "columns must be given, or skip: <reason>"),
        ("{thresholds: {accuracy: {min: 0.9}}}", "{thresholds: {}}", "claimed_metrics.thresholds"),
        ("{thresholds: {accuracy: {min: 0.9}}}", "{}", "thresholds must be given, or skip"),
        ("{thresholds: {accuracy: {min: 0.9}}}", "{skip: no}", "gates.claimed_metrics.skip"),
        ("{thresholds: {accuracy: {min: 0.9}}}", '{skip: "   "}', "gates.claimed_metrics.skip"),
        ("rows.parquet", "rows.txt", "add format: parquet or format: csv"),
        ("data/rows.parquet", "http://x/rows.parquet", "'http://x/rows.parquet' cannot be read"),
        (SHA256, "abc", "holdout.sha256"),
        (f'"{SHA256}"', SHA256, "holdout.sha256: Input should be a valid string; found 0"),
        ("task: classification", "task: ranking", "'classification' or 'regression'"),
        ("target: y", "target: y, drop: [y]", "remove it from drop"),
        ("target: y", "target: y, target: z", "line 2: the key target twice"),
        ("gates:", "gates: [", "is not valid YAML; found line"),
        (GATES, "", "gates: is missing"),
        (HOLDOUT, "", "gates.measured_metrics needs a holdout"),
        (HOLDOUT + GATES, "", "gates: is missing"),
        (HOLDOUT + GATES, "- a list", "the file: Input should be"),
        (
            HOLDOUT + GATES,
            "? [a]\n: 1\n",
            "is not valid YAML; found line 1: a key that is not a word",
        ),
        (HOLDOUT + GATES, f"gates: {'9' * 5000}", "is not valid YAML; found Exceeds the limit"),
        (
            HOLDOUT + GATES,
            "[" * 2000 + "]" * 2000,
            "is not valid YAML; found maximum recursion depth",
        ),
        (HOLDOUT + GATES, EVERY_SKIP, "every gate is skipped: remove skip from at least one"),
    ],
)
def test_an_invalid_configuration_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = HOLDOUT + GATES
    assert old in text
    assert says in _refused(tmp_path, text.replace(old, new, 1))


@pytest.mark.parametrize("gate", ["claimed_metrics", "measured_metrics", "champion", "slices"])
def test_a_gate_without_anything_to_judge_is_refused(tmp_path: Path, gate: str) -> None:
    lines = [line for line in GATES.splitlines() if not line.startswith(f"  {gate}:")]
    assert f"gates.{gate}: is missing" in _refused(tmp_path, HOLDOUT + "\n".join(lines))


def test_errors_after_the_first_are_counted(tmp_path: Path) -> None:
    text = (HOLDOUT + GATES).replace("0.01", "-1").replace("0.02", "-1")
    assert "(1 more after it)" in _refused(tmp_path, text)


def test_values_do_not_change(tmp_path: Path) -> None:
    config = _load(tmp_path, HOLDOUT + GATES)
    with pytest.raises(ValueError, match="frozen"):
        config.gates.champion.confidence = 0.6


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.yaml")), ids=lambda p: p.stem)
def test_our_own_files_are_valid_and_name_their_schema(path: Path) -> None:
    assert load_config(path.stem, path.parent).source == path
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"


def test_reading_a_configuration_imports_nothing_slow() -> None:
    code = (
        "import sys; from pathlib import Path; from model_release.config import load_config; "
        f"load_config('iris-classifier', Path({str(ROOT / 'models')!r})); "
        "print(sorted({'numpy', 'sklearn', 'pandas', 'mlflow', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


FAIRNESS = '''
"""Fairness: the measured accuracy is an even percentage."""

from model_release.gates.evidence import Scores
from model_release.gates.outcome import GateLimits, Outcome, failed, passed

EVIDENCE = Scores


class Limits(GateLimits):
    """Made up."""

    divisor: int


def judge(evidence: Scores, limits: Limits) -> Outcome:
    """Judge."""
    rest = round(evidence.measured["accuracy"] * 100) % limits.divisor
    return failed("even", "odd", "count") if rest else passed("even", "even")
'''
ASK = """
import sys
from pathlib import Path
from model_release.config import load_config
from model_release.gates.evidence import Scores
from model_release.gates import gates
limits = load_config("wine", Path(sys.argv[1])).gates.fairness
for accuracy in (0.92, 0.93):
    print(gates()["fairness"].judge(Scores(measured={"accuracy": accuracy}), limits).status)
print(list(gates())[-1])
"""


def _ask_in_a_copy(folder: Path, gate: str, line: str) -> subprocess.CompletedProcess[str]:
    """Copy the library, add one gate's file and one line of YAML, and ask the gate there."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "model_release", folder / "model_release", ignore=ignore)
    if gate:
        (folder / "model_release/gates/fairness.py").write_text(gate, encoding="utf-8")
    (folder / "wine.yaml").write_text(HOLDOUT + GATES + line, encoding="utf-8")
    command = [sys.executable, "-c", ASK, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_a_new_gate_is_one_file_and_one_line(tmp_path: Path) -> None:
    done = _ask_in_a_copy(tmp_path, FAIRNESS, "  fairness: {divisor: 2}\n")
    assert (done.stdout, done.stderr) == ("passed\nfailed\nfairness\n", "")


@pytest.mark.parametrize(
    ("gate", "line", "says"),
    [
        ("", "  fairness: {divisor: 2}\n", "gates.fairness: unknown key"),
        (FAIRNESS, "", "gates.fairness.divisor: is missing"),
    ],
)
def test_a_new_gate_needs_both(tmp_path: Path, gate: str, line: str, says: str) -> None:
    assert says in _ask_in_a_copy(tmp_path, gate, line).stderr
