"""Station approve on GitHub: the review of a deployment, recorded on its release."""

from collections.abc import Sequence
from dataclasses import dataclass

from model_release import commands
from model_release.errors import RefusedError
from model_release.github import GitHub
from model_release.github.protection import approvals, conflict, dispatchers, people
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
        trainers: who may train, as the model's YAML says: each counts as the trainer.
    """

    separate: bool
    required: bool
    trainers: Sequence[str] = ()


def approve_release(release: Release, github: GitHub, run_id: str, trust: Trust) -> Release:
    """Record who approved the workflow run's deployment to production, if they may.

    Raises:
        RefusedError: nobody approved, or the model's YAML wants other people.
        OutsideError: GitHub does not answer.
    """
    run = github.run(run_id)
    started = dispatchers(github.attempts(run))
    reviews = approvals(github.approvals(run_id), "production")
    named = _trainers(release)
    if not reviews and trust.required:
        raise RefusedError(
            f"{release.model} {release.version}: approval of run {run_id}",
            expected="the approval of a required reviewer of the environment production",
            found="nobody approved",
            next_step=f"run {commands.setup_github()}, then dispatch the release again",
        )
    approvers = list(dict.fromkeys(review.by for review in reviews))
    trained = people([*named, *trust.trainers])
    if trust.separate and (problem := conflict(approvers or started, started, trained)):
        raise RefusedError(
            f"{release.model} {release.version}: production.separate_people",
            expected="three people as approver, dispatcher and trainer",
            found=problem,
            next_step="let another person approve, or dispatch a new run; who trained say the "
            f"version's tag {TRAINER}, its run, and production.trainers in the model's YAML",
        )
    comment = "; ".join(review.comment for review in reviews if review.comment)
    facts = {
        "dispatcher": ", ".join(filter(None, started)),
        "trainer": ", ".join(named),
        "comment": comment[:1000],
        "run": str(run.get("html_url", "")),
    }
    if not release.passed("approve"):
        how = "reviewed on GitHub" if reviews else "dispatched; GitHub does not ask for a review"
        by = ", ".join(approvers or filter(None, started))
        release = record(release, by, how)
    return release.note({names.approval_tag(name): value for name, value in facts.items() if value})


def _trainers(release: Release) -> tuple[str, ...]:
    """Whom the version names as its trainer: its tag, and the user of its source run.

    MLflow takes both from whoever writes them, so neither takes the other out.
    """
    registry = release.registry
    version = registry.version(release.model, release.version)
    user = registry.run_tags(version.run_id).get("mlflow.user", "") if version.run_id else ""
    return people(filter(None, (version.tags.get(TRAINER, ""), user)))
