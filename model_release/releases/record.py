"""The tags of a release's run as typed attributes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from model_release.identity import Identity
from model_release.releases import names
from model_release.releases.binding import seal


@dataclass(frozen=True)
class Approved:
    """Who let a release into production, and what led to that; empty where it was not recorded."""

    by: str = ""
    at: str = ""
    how: str = ""
    comment: str = ""
    dispatcher: str = ""
    trainer: str = ""
    run: str = ""


@dataclass(frozen=True)
class Record:
    """A release as its run has it; `id` is the run's.

    What is `bound` was written once and counts more than a tag, which can be rewritten. An
    attribute is empty until the station that writes it has passed, and for good in releases of a
    software that did not write it yet.
    """

    id: str
    tags: Mapping[str, str]
    bound: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def fact(self, name: str) -> str:
        """What was written under a name, "" for nothing."""
        return self.bound.get(name, self.tags.get(name, ""))

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.fact(names.MODEL)

    @property
    def version(self) -> str:
        """Number of the model version."""
        return self.fact(names.VERSION)

    @property
    def digest(self) -> str:
        """Model digest that the gates judged."""
        return self.fact(names.DIGEST)

    @property
    def identity(self) -> Identity:
        """What a server of it answers to `GET /model`."""
        return Identity(self.model, self.version, self.digest, self.id)

    @property
    def state(self) -> str:
        """open, refused, released, or superseded by a later attempt."""
        return self.fact(names.STATE)

    @property
    def source_run(self) -> str:
        """Id of the training run."""
        return self.fact(names.SOURCE_RUN)

    @property
    def config(self) -> str:
        """Digest of the limits that the gates judged by."""
        return self.fact(names.CONFIG)

    @property
    def champion(self) -> str:
        """Version of the champion that it was compared with; empty where there was none."""
        return self.fact(names.CHAMPION)

    @property
    def batching(self) -> bool:
        """Whether requests may be scored together."""
        return self.fact(names.BATCHING) == "true"

    @property
    def lock_digest(self) -> str:
        """SHA-256 of the dependency lock."""
        return self.fact(names.LOCK_DIGEST)

    @property
    def context_digest(self) -> str:
        """Digest of the build context."""
        return self.fact(names.CONTEXT_DIGEST)

    @property
    def image(self) -> str:
        """The image by digest, as a reference that can be pulled."""
        return self.fact(names.IMAGE)

    @property
    def image_digest(self) -> str:
        """Digest of the image."""
        return self.fact(names.IMAGE_DIGEST)

    @property
    def base_image(self) -> str:
        """What the image stands on, by digest."""
        return self.fact(names.BASE_IMAGE)

    @property
    def commit(self) -> str:
        """Commit of the checkout that the image was built from."""
        return self.fact(names.COMMIT)

    @property
    def signed_by(self) -> str:
        """Who signed the image."""
        return self.fact(names.SIGNED_BY)

    @property
    def seal(self) -> str:
        """One digest of all that its validation left; empty where that was never bound."""
        return seal(self.bound)

    @property
    def approved(self) -> Approved:
        """Who let it into production."""
        told = {each.name: self.fact(names.approval_tag(each.name)) for each in fields(Approved)}
        return Approved(**told)

    @property
    def champion_since(self) -> str:
        """When it became champion."""
        return self.fact(names.CHAMPION_SINCE)

    @property
    def champion_until(self) -> str:
        """When it ceased to be champion."""
        return self.fact(names.CHAMPION_UNTIL)

    @property
    def rollback_reason(self) -> str:
        """Why it was rolled back."""
        return self.fact(names.ROLLED_BACK_REASON)

    def result(self, station: str) -> str:
        """How a station ended: passed, refused or error."""
        return self.fact(names.result(station))

    def ended(self, station: str) -> str:
        """When a station ended, in UTC as ISO 8601."""
        return self.fact(names.ended(station))

    def passed(self, station: str) -> bool:
        """Whether a station let this release on."""
        return self.result(station) == "passed"
