"""The identity of a model as a release, and its name as a DNS label."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "model-release/"
"""Before the fields' names where others have names too: annotations, and the labels of an image."""

READABLE = 40
"""Longest readable part. A DNS label has 63; `-canary` and the suffixes of pods need the rest."""

PLAIN = re.compile(rf"[a-z]([a-z0-9-]{{0,{READABLE - 2}}}[a-z0-9])?")
TAKEN = re.compile(r"-canary$|-[0-9a-f]{8}$")
"""Endings that other names get: a canary's Deployment, and the names with a hash."""


@dataclass(frozen=True)
class Identity:
    """What a release is, and what a server of it says that it serves.

    `serving` imports none of this: it names its fields too.

    Args:
        model: name of the registered model.
        version: number of the model version.
        digest: model digest, `sha256:…`.
        release: id of the release.
    """

    model: str
    version: str
    digest: str
    release: str

    @classmethod
    def read(cls, fields: Mapping[str, object], prefix: str = "") -> "Identity":
        """Read it from what `fields` wrote, whatever else is there.

        Raises:
            KeyError: one of the four is missing: such a one is nobody.
        """
        return cls(**{name: str(fields[prefix + name]) for name in cls.__annotations__})

    def fields(self, prefix: str = "") -> dict[str, str]:
        """The four fields by name, as every file, annotation and label has them."""
        return {prefix + name: value for name, value in vars(self).items()}

    def differences(self, found: "Identity") -> str:
        """What `found` says otherwise, in full; empty where it is the same."""
        pairs = vars(found).items()
        return "; ".join(f"{key} {value}" for key, value in pairs if getattr(self, key) != value)

    def __str__(self) -> str:
        digest, release = short_digest(self.digest), short_id(self.release)
        return f"{self.model} {self.version} ({digest}…, release {release})"


def short_id(run: str) -> str:
    """The beginning of a release's or another run's id, for people to tell it from others."""
    return run[:8]


def short_digest(digest: str) -> str:
    """The beginning of a digest, with or without `sha256:`, for the same."""
    scheme, colon, number = digest.rpartition(":")
    return f"{scheme}{colon}{number[:12]}"


def slug(model: str) -> str:
    """A DNS label (RFC 1035, at most 49 characters): the model's name if it is one, else a hash.

    Two models never share one, and none is another's with `-canary` after it: a name that is no
    label, is too long, or has such an ending gets eight hex digits of its SHA-256 at its end.
    """
    if PLAIN.fullmatch(model) and not TAKEN.search(model):
        return model
    readable = re.sub(r"[^a-z0-9]+", "-", model.lower())[:READABLE].strip("-")
    if not readable[:1].isalpha():
        readable = f"m-{readable}"[:READABLE].strip("-")
    return f"{readable}-{hashlib.sha256(model.encode()).hexdigest()[:8]}"
