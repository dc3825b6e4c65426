"""The `kubernetes:` section: a valid one is read, an invalid one is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from model_release.config.kubernetes_settings import Kubernetes, amount


def test_numbers_become_the_text_that_kubernetes_takes() -> None:
    told = {"requests": {"cpu": 0.5, "memory": "1G"}, "limits": {"cpu": 2, "memory": "1Gi"}}
    resources = Kubernetes.model_validate({"resources": told}).resources
    assert resources.model_dump() == {
        "requests": {"cpu": "0.5", "memory": "1G"},
        "limits": {"cpu": "2", "memory": "1Gi"},
    }


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("250m", 0.25), ("2", 2), ("1.5", 1.5), ("512Mi", 2.0**29), ("1Gi", 2.0**30), ("1G", 1e9)],
)
def test_quantities(quantity: str, expected: float) -> None:
    assert amount(quantity) == expected


def test_production_outlives_a_node_by_default() -> None:
    assert Kubernetes().replicas.production.min >= 2


CPU, MEMORY = {"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "512Mi"}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"replicas": {"staging": {"min": 3}}}, "max 2 is below min 3"),
        ({"replicas": {"staging": {"min": 0}}}, "greater than or equal to 1"),
        ({"replicas": {"canary": {"min": 1}}}, "Extra inputs"),
        ({"resources": {"requests": CPU, "limits": MEMORY}}, "limits.memory 512Mi is below"),
        ({"resources": {"requests": {"cpu": 0, "memory": "1Gi"}}}, "requests.cpu is 0"),
        ({"resources": {"limits": {"cpu": "one", "memory": "1Gi"}}}, "should match pattern"),
        ({"resources": {"limits": {"cpu": True, "memory": "1Gi"}}}, "valid string"),
        ({"host": "https://iris.example.com"}, "should match pattern"),
        ({"components": ["../gpu"]}, "should match pattern"),
        ({"canary": {"share": 1}}, "less than 1"),
        ({"canary": {"when_inconclusive": "promote"}}, "'stop' or 'go'"),
    ],
)
def test_what_cannot_be_meant_is_refused(told: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Kubernetes.model_validate(told)
