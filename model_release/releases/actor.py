"""The name of whoever acts, which the ledger keeps."""

import getpass
import os


def actor() -> str:
    """RELEASE_ACTOR, or who started the workflow (GITHUB_ACTOR), or this machine's user."""
    named = os.environ.get("RELEASE_ACTOR") or os.environ.get("GITHUB_ACTOR")
    return named or getpass.getuser()
