"""Station approve: a named person lets a staged release into production."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from model_release import commands
from model_release.errors import RefusedError, UsageError
from model_release.identity import short_id
from model_release.registry import Registry
from model_release.releases import Release, names, now

APPROVER = re.compile(r"[\w.@+-][\w .@+-]{0,99}")


@dataclass(frozen=True)
class Approval:
    """How approval is had.

    Args:
        protected: whether production must wait for a person.
        user: who started the command.
        given: an approver named beforehand, or "".
        target: where production is, for the command that approves.
        ask: puts the question to the person at the terminal, or None when there is none.
    """

    protected: bool
    user: str
    given: str = ""
    target: str = ""
    ask: Callable[[str], bool] | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for an invalid name of an approver."""
        if self.given and not APPROVER.fullmatch(self.given):
            raise UsageError(
                f"approver {self.given!r}",
                expected="a user name or mail address",
                next_step="give the name with --approve, or with APPROVE= to make",
            )


def approve(release: Release, approval: Approval) -> Release:
    """Record who lets this release into production, unless that is recorded already.

    Raises:
        RefusedError: the person said no (which ends the release), or nobody was there to say yes.
    """
    if release.passed("approve"):
        return release
    if approval.given:
        return record(release, approval.given, "named on the command line")
    if approval.ask:
        question = f"Release {release.model} {release.version} to production?"
        if approval.ask(question):
            return record(release, approval.user, "asked on the terminal")
        record(release, approval.user, "asked on the terminal", approved=False)
        raise RefusedError(
            f"{release.model} {release.version}: rejected by {approval.user}",
            next_step="production is unchanged; for a new release run "
            f"{commands.station('validate', release.model, release.version)}",
        )
    if approval.protected:
        again = commands.release(
            release.model,
            release.version,
            target=approval.target,
            approve=commands.APPROVER,
        )
        raise RefusedError(
            f"{release.model} {release.version} waits for approval: production is protected",
            expected="the approval of a person",
            found="nobody at a terminal, and no approver was named",
            next_step=f"run {again}, or give --approve NAME; the release continues from here",
        )
    return record(release, approval.user, "unattended; this production is not protected")


def record(release: Release, by: str, how: str, *, approved: bool = True) -> Release:
    """Write down who approved or rejected a release, and how; on its version as well.

    Raises:
        RefusedError: what is approved, or the page that was read, is not as it was written.
    """
    if approved:
        release.check(page=True)
    at = now()
    word = "approved" if approved else "rejected"
    recorded = release.record(
        "approve",
        "passed" if approved else "refused",
        tags={
            names.approval_tag("by"): by,
            names.approval_tag("at"): at,
            names.approval_tag("how"): how,
        },
        state=None if approved else "refused",
    )
    release.registry.tag_version(
        release.model,
        release.version,
        {"approval_status": word, f"{word}_by": by, f"{word}_at": at},
    )
    return recorded


def approve_model(release: Release, *, by: str, why: str, approved: bool) -> Release:
    """Approve or reject a release that waits for it, by name and with a reason.

    Raises:
        UsageError: no approver or reason, or a release that does not wait.
    """
    words = " ".join(why.split())
    if not APPROVER.fullmatch(by) or not words:
        raise UsageError(
            f"approval of {release.model} {release.version}",
            expected="the name of who decides, and a reason",
            found=f"approver {by!r}, reason {words!r}",
            next_step="give --approve NAME and --reason TEXT",
        )
    if release.state != "open" or release.passed("approve"):
        shown_by = commands.script(
            "approve_model", model_name=release.model, model_version=release.version
        )
        raise UsageError(
            f"release {short_id(release.id)} of {release.model} {release.version}",
            expected="a release that waits for approval",
            found=f"{release.state}, {release.result('approve') or 'not asked yet'}",
            next_step=f"see it with {shown_by}",
        )
    if approved:
        release.require_before("approve")
    recorded = record(release, by, f"approve_model.py: {words[:500]}", approved=approved)
    release.registry.tag_version(release.model, release.version, {"approval_reason": words[:500]})
    return recorded


def shown(registry: Registry, model: str, version: str | None) -> dict[str, str]:
    """What a version's tags say about its approval."""
    found = registry.version(model, version)
    status = found.tags.get("approval_status", "pending")
    return {
        "model": model,
        "version": found.version,
        "approval_status": status,
        "by": found.tags.get(f"{status}_by", ""),
        "at": found.tags.get(f"{status}_at", ""),
        "why": found.tags.get("approval_reason", ""),
        "validation": found.tags.get("validation_status", "none"),
    }
