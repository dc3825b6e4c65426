"""Approve: a person lets a staged release go to production, by name."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from model_release.errors import RefusedError, UsageError
from model_release.release import Release, now

APPROVER = re.compile(r"[\w.@+-][\w .@+-]{0,99}")


@dataclass(frozen=True)
class Approval:
    """How approval is had.

    Args:
        protected: whether production must wait for a person.
        user: who started the command.
        given: an approver named beforehand, or "".
        ask: puts the question to the person at the terminal, or None when there is none.
    """

    protected: bool
    user: str
    given: str = ""
    ask: Callable[[str], bool] | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for an approver's name that is none."""
        if self.given and not APPROVER.fullmatch(self.given):
            raise UsageError(
                f"approver {self.given!r}",
                expected="a user name or mail address",
                next_step="give APPROVE=name or --approve name",
            )


def approve(release: Release, approval: Approval) -> Release:
    """Record who lets this release into production, unless that is recorded already.

    Raises:
        RefusedError: the person said no (which ends the release), or nobody was there to say yes.
    """
    if release.passed("approve"):
        return release
    if approval.given:
        return _record(release, approval.given, "named on the command line")
    if approval.ask:
        question = f"Release {release.model} {release.version} to production?"
        if approval.ask(question):
            return _record(release, approval.user, "asked on the terminal")
        _record(release, approval.user, "asked on the terminal", approved=False)
        raise RefusedError(
            f"{release.model} {release.version}: rejected by {approval.user}",
            next_step="production is untouched; the next release begins with validation",
        )
    if approval.protected:
        raise RefusedError(
            f"{release.model} {release.version} waits for approval: production is protected",
            expected="a person's approval",
            found="nobody at a terminal and no approver named",
            next_step=f"make release MODEL={release.model} VERSION={release.version} APPROVE=name, "
            "or --approve name; it goes on from here",
        )
    return _record(release, approval.user, "unattended; this production is not protected")


def _record(release: Release, by: str, how: str, *, approved: bool = True) -> Release:
    at = now()
    word = "approved" if approved else "rejected"
    recorded = release.record(
        "approve",
        "passed" if approved else "refused",
        tags={"approval.by": by, "approval.at": at, "approval.how": how},
        state=None if approved else "refused",
    )
    release.registry.tag_version(
        release.model,
        release.version,
        {"approval_status": word, f"{word}_by": by, f"{word}_at": at},
    )
    return recorded
