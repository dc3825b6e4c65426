"""The names of the tags and files of a release. They never change, because releases are kept."""

FORMAT = "release.format"
MODEL = "release.model"
VERSION = "release.version"
DIGEST = "release.digest"
STATE = "release.state"
SUPERSEDED_BY = "release.superseded_by"
SOURCE_RUN = "release.source_run"
CONFIG = "release.config"
CHAMPION = "release.champion"
SOFTWARE = "release.software"
VALIDATED = "release.validated"
BATCHING = "release.batching"
LOCK_DIGEST = "release.lock"
CONTEXT_DIGEST = "release.context"
IMAGE = "release.image"
IMAGE_DIGEST = "release.image_digest"
BASE_IMAGE = "release.base_image"
COMMIT = "release.commit"
SIGNED_BY = "release.signed_by"

CHAMPION_SINCE = "champion.since"
CHAMPION_UNTIL = "champion.until"
SUCCEEDED_BY = "champion.succeeded_by"
ROLLED_BACK_AT = "rolled_back.at"
ROLLED_BACK_BY = "rolled_back.by"
ROLLED_BACK_REASON = "rolled_back.reason"

REPORT = "report.json"
LOCK = "requirements.lock"
GOLDEN = "golden.json"
SBOM = "sbom.cdx.json"
CHECKS = "checks.json"
MANIFEST = "manifest.yaml"


def result(station: str) -> str:
    """The tag that says how a station ended: passed, refused or error."""
    return f"station.{station}"


def ended(station: str) -> str:
    """The tag that says when a station ended."""
    return f"station.{station}.at"


def url(station: str) -> str:
    """The tag that says where a deploy serves."""
    return f"{station}.url"


def approval_tag(fact: str) -> str:
    """The tag of one fact of the approval, such as `by`."""
    return f"approval.{fact}"


WRITTEN_ONCE = (
    *(MODEL, VERSION, DIGEST, SOURCE_RUN, CONFIG, CHAMPION, SOFTWARE),
    *(VALIDATED, BATCHING, LOCK_DIGEST, CONTEXT_DIGEST),
    *(IMAGE_DIGEST, BASE_IMAGE, COMMIT),
    *(approval_tag("by"), approval_tag("at"), approval_tag("how")),
)
"""Tags that are kept as parameters of the run as well, which nobody can change."""
