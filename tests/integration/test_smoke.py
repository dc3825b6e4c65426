"""The smoke suite against the real server with a scikit-learn model."""

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_release import ROOT, smoke
from model_release.answers import Tolerances
from model_release.identity import Identity
from model_release.smoke import Budget, Case, check_server
from tests.ports import free_port

IDENTITY = Identity("iris", "7", "sha256:" + "7" * 64, "7" * 32)
BUDGET = Budget(p50_ms=2000, p99_ms=5000, requests=10)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Case]:
    """A build context, and the golden case that its model gives."""
    context = tmp_path_factory.mktemp("context")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow warns when it is imported
        import mlflow.sklearn
        from mlflow.models import infer_signature
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression

        rows, truth = load_iris(return_X_y=True, as_frame=True)
        model = LogisticRegression(max_iter=1000).fit(rows, truth)
        signature = infer_signature(rows, model.predict(rows))
        mlflow.sklearn.save_model(
            model,
            context / "model",
            signature=signature,
            input_example=rows[:3],
            pip_requirements=[],
        )
    shutil.copytree(ROOT / "serving", context / "serving")
    release = json.dumps({**vars(IDENTITY), "batching": True})
    (context / "release.json").write_text(release)
    sample = rows[::10]
    request = {"dataframe_split": {"columns": [*sample], "data": sample.to_numpy().tolist()}}
    predictions = model.predict(sample).tolist()
    return context, {"name": "sample", "request": request, "predictions": predictions}


@pytest.fixture(scope="module")
def url(context: tuple[Path, Case]) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "serving", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, cwd=context[0], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        log = ""
        while f":{port}" not in log:
            line = server.stderr.readline()
            assert line, log
            log += line
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        server.stderr.read()
    assert server.returncode == 0


def test_a_served_release_passes(url: str, context: tuple[Path, Case]) -> None:
    checks = check_server(url, IDENTITY, [context[1]], Tolerances(), BUDGET)
    assert [(check.name, check.found) for check in checks[:-1]] == [
        ("/ping", "200"),
        ("/health", "200"),
        ("/version", "200"),
        ("/model", str(IDENTITY)),
        ("golden: sample", "equal"),
        ("malformed body", "400"),
        ("missing columns", "400"),
    ]
    assert [check.passed for check in checks] == [True] * 8


def test_another_release_and_other_answers_are_named(url: str, context: tuple[Path, Case]) -> None:
    right = context[1]["predictions"]
    assert isinstance(right, list)
    wrong = {**context[1], "predictions": [*right[:-1], 0]}
    expected = replace(IDENTITY, version="8", release="8" * 32)
    checks = check_server(url, expected, [wrong], Tolerances(), None)
    assert {check.name: check.found for check in checks if not check.passed} == {
        "/model": f"version 7; release {'7' * 32}",
        "golden: sample": "predictions[14]: 2 in place of 0",
    }


def test_a_budget_that_no_server_meets(
    url: str, context: tuple[Path, Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "TIMEOUT_SECONDS", 10.0)
    checks = check_server(url, IDENTITY, [context[1]], Tolerances(), Budget(0.001, 0.001, 3))
    assert [check.name for check in checks if not check.passed] == ["latency"]
