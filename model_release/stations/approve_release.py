"""Station approve on GitHub: the review of a deployment, recorded on its release."""

from dataclasses import dataclass

from model_release import commands
from model_release.errors import RefusedError
from model_release.github import GitHub
from model_release.github.protection import approvals, conflict
from model_release.releases import Release, names
from model_release.stations.approve_model import record

TRAINER = "trained_by"
"""Tag of a model version: the GitHub login of whoever trained it."""


@dataclass(frozen=True)
class Trust:
    """What an approval has to be.

    Args:
        separate: approver, dispatcher and trainer have to be three people.
        required: a run that nobody approved does not go on.
    """

    separate: bool
    required: bool


def approve_release(release: Release, github: GitHub, run_id: str, trust: Trust) -> Release:
    """Record who approved the workflow run's deployment to production, if they may.

    Raises:
        RefusedError: nobody approved, or the model's YAML wants other people.
        OutsideError: GitHub does not answer.
    """
    run = github.run(run_id)
    dispatcher = str((run.get("triggering_actor") or run.get("actor") or {}).get("login", ""))
    reviews = approvals(github.approvals(run_id), "production")
    trainer = _trainer(release)
    if not reviews and trust.required:
        raise RefusedError(
            f"{release.model} {release.version}: approval of run {run_id}",
            expected="the approval of a required reviewer of the environment production",
            found="nobody approved",
            next_step=f"run {commands.setup_github()}, then dispatch the release again",
        )
    approvers = list(dict.fromkeys(review.by for review in reviews))
    if trust.separate and (problem := conflict(approvers or [dispatcher], dispatcher, trainer)):
        raise RefusedError(
            f"{release.model} {release.version}: production.separate_people",
            expected="three people as approver, dispatcher and trainer",
            found=problem,
            next_step="let another person approve or dispatch; the version's tag "
            f"{TRAINER} names the trainer",
        )
    comment = "; ".join(review.comment for review in reviews if review.comment)
    facts = {
        "dispatcher": dispatcher,
        "trainer": trainer,
        "comment": comment[:1000],
        "run": str(run.get("html_url", "")),
    }
    if not release.passed("approve"):
        how = "reviewed on GitHub" if reviews else "dispatched; GitHub does not ask for a review"
        release = record(release, ", ".join(approvers) or dispatcher, how)
    return release.note({names.approval_tag(name): value for name, value in facts.items() if value})


def _trainer(release: Release) -> str:
    """Who trained the version: its tag, else the user whom its source run names."""
    registry = release.registry
    version = registry.version(release.model, release.version)
    if version.tags.get(TRAINER):
        return version.tags[TRAINER]
    return registry.run_tags(version.run_id).get("mlflow.user", "") if version.run_id else ""
