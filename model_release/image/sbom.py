"""The software bill of materials of an image: CycloneDX 1.6 JSON, out of the lock (pure)."""

import json
import re
import uuid
from typing import Any

from model_release.identity import Identity

PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
WHEEL = re.compile(r"^([a-z0-9-]+) @ https://\S+/[^/\s-]+-([^\s-]+)-\S+\.whl", re.MULTILINE)


def bill_of_materials(lock: str, identity: Identity, base: str, time: str) -> str:
    """List what an image holds: its base, the model and every locked package.

    The same arguments give the same text.

    Args:
        lock: text of the requirements lock: `name==version`, or `name @` the URL of a wheel, at the
            start of a line.
        identity: of the release.
        base: reference of the base image, by digest.
        time: ISO 8601, when it was validated.
    """
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"release:{identity.release}:{base}")
    name, _, digest = base.partition("@sha256:")
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model",
                "name": identity.model,
                "version": identity.version,
                "hashes": [_sha256(identity.digest.removeprefix("sha256:"))],
                "properties": [{"name": "release", "value": identity.release}],
            },
        },
        "components": [
            {"type": "container", "bom-ref": "base", "name": name, "hashes": [_sha256(digest)]},
            *(_package(name, version) for name, version in PACKAGE.findall(lock)),
            *(_package(name, version.replace("%2B", "+")) for name, version in WHEEL.findall(lock)),
        ],
    }
    return json.dumps(bill, indent=2) + "\n"


def _sha256(content: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": content}


def _package(name: str, version: str) -> dict[str, Any]:
    canonical = re.sub(r"[-_.]+", "-", name).lower()
    purl = f"pkg:pypi/{canonical}@{version.replace('+', '%2B')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
