"""What binds a release to what it was approved with: facts and digests, each written once (pure).

A tag and a file of a run can be changed by whoever may write there, a run's parameter by nobody. So
what a station leaves for good is repeated as parameters: `release.digest` and its like as the tag
has it, `sha256.validate/requirements.lock` and its like for each file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from model_release import commands
from model_release.releases import names

FILE = "sha256."
PAGE = f"{FILE}page/"
"""The page is made anew whenever somebody asks for it: its digests are tags."""

VALIDATED = f"{FILE}validate/"


@dataclass(frozen=True)
class Alteration:
    """Something of a release that is not as it was written, and what to do about it."""

    what: str
    expected: str
    found: str
    restore: str


def sha256(content: bytes) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def known(parameters: Mapping[str, str]) -> dict[str, str]:
    """Those of a run's parameters that bind a release."""
    kept = {*names.WRITTEN_ONCE, *map(names.result, commands.STATIONS)}
    return {
        name: value
        for name, value in parameters.items()
        if name in kept or (name.startswith(FILE) and not name.startswith(PAGE))
    }


def facts(tags: Mapping[str, str], station: str) -> dict[str, str]:
    """The tags that stay as they are once this station has let a release on, or ended it."""
    kept = (*names.WRITTEN_ONCE, names.result(station))
    return {name: tags[name] for name in kept if name in tags}


def digests(files: Mapping[str, str], folder: str) -> dict[str, str]:
    """The parameters, or tags, that bind files (name → text) of a folder of the run."""
    return {f"{FILE}{folder}/{name}": sha256(text.encode()) for name, text in files.items()}


def seal(bound: Mapping[str, str]) -> str:
    """One digest of all that validation left, which an image's signature says; "" for none."""
    found = {name: value for name, value in bound.items() if name.startswith(VALIDATED)}
    return sha256(json.dumps(found, sort_keys=True).encode()) if found else ""


def rewritten(tags: Mapping[str, str], bound: Mapping[str, str], restore: str) -> list[Alteration]:
    """Tags that say something else than what was written once; `restore` says what to do then."""
    found = [
        Alteration(f"tag {name}", value or "none", tags.get(name) or "none", restore)
        for name, value in sorted(bound.items())
        if not name.startswith(FILE) and tags.get(name, "") != value
    ]
    image, digest = tags.get(names.IMAGE, ""), bound.get(names.IMAGE_DIGEST)
    if digest and image.partition("@")[2] != digest:
        found.append(
            Alteration(f"tag {names.IMAGE}", f"an image @{digest}", image or "none", restore)
        )
    return found
