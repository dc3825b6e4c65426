"""The name of a registered model where only a DNS label will do: one for all that need it."""

import hashlib
import re

READABLE = 40
"""Longest readable part. A DNS label has 63; `-canary` and the suffixes of pods need the rest."""

PLAIN = re.compile(rf"[a-z]([a-z0-9-]{{0,{READABLE - 2}}}[a-z0-9])?")
TAKEN = re.compile(r"-canary$|-[0-9a-f]{8}$")
"""Endings that other names get: a canary's Deployment, and the names with a hash."""


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
