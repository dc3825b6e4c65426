"""SBOM: the whole bill of a small lock."""

import json
from dataclasses import replace

from model_release.identity import Identity
from model_release.image.sbom import bill_of_materials

IDENTITY = Identity("iris", "2", "sha256:" + "a" * 64, "r1")
BASE = "127.0.0.1:5000/python:3.11-slim@sha256:" + "b" * 64
LOCK = """\
# Python 3.11 on linux-x86_64; source builds refused
numpy==2.4.6 \\
    --hash=sha256:00 \\
    --hash=sha256:11
Typing_Extensions==4.16.0 ; python_version < '4' \\
    --hash=sha256:22
torch==2.9.1+cpu
en-core-web-sm @ https://files.example.org/v3/en_core_web_sm-3.8.0%2Blocal-py3-none-any.whl \\
    --hash=sha256:33
"""


def test_every_locked_package_is_listed_beside_base_and_model() -> None:
    bill = json.loads(bill_of_materials(LOCK, IDENTITY, BASE, "2026-11-23T22:00:00+00:00"))
    serial = bill.pop("serialNumber")
    assert serial.startswith("urn:uuid:")
    assert bill == {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": "2026-11-23T22:00:00+00:00",
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model",
                "name": "iris",
                "version": "2",
                "hashes": [{"alg": "SHA-256", "content": "a" * 64}],
                "properties": [{"name": "release", "value": "r1"}],
            },
        },
        "components": [
            {
                "type": "container",
                "bom-ref": "base",
                "name": "127.0.0.1:5000/python:3.11-slim",
                "hashes": [{"alg": "SHA-256", "content": "b" * 64}],
            },
            *(
                {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
                for name, version, purl in (
                    ("numpy", "2.4.6", "pkg:pypi/numpy@2.4.6"),
                    ("Typing_Extensions", "4.16.0", "pkg:pypi/typing-extensions@4.16.0"),
                    ("torch", "2.9.1+cpu", "pkg:pypi/torch@2.9.1%2Bcpu"),
                    ("en-core-web-sm", "3.8.0+local", "pkg:pypi/en-core-web-sm@3.8.0%2Blocal"),
                )
            ),
        ],
    }


def test_the_same_release_has_the_same_bill_and_another_has_another() -> None:
    time = "2026-11-23T22:00:00+00:00"
    first = bill_of_materials(LOCK, IDENTITY, BASE, time)
    assert first == bill_of_materials(LOCK, IDENTITY, BASE, time)
    other = bill_of_materials(LOCK, replace(IDENTITY, release="r2"), BASE, time)
    assert json.loads(first)["serialNumber"] != json.loads(other)["serialNumber"]
