"""Signs images with cosign and refuses those that are not signed as ours.

A signature says which release an image is, and the digest of what its validation left (report,
lock, golden answers), so that an image of another release, signed by the same key, is as foreign
as an unsigned one. Settings are environment variables; a key's password stays in
COSIGN_PASSWORD, where cosign itself reads it.
"""

import base64
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.processes.tools import Done, call

SECONDS = 180.0
GATES = "urn:model-release:gates"
"""Type of the attestation that holds a release's gate report."""

VARIABLES = {
    "COSIGN_KEY": "private key that signs: a file, or a KMS address such as awskms://…",
    "COSIGN_PUBLIC_KEY": "key that verifies; that of COSIGN_KEY if not given",
    "COSIGN_IDENTITY": "who signs without a key, as the certificate names it",
    "COSIGN_ISSUER": "who vouches for that identity, such as the CI's OIDC address",
}

# A key vouches by itself: names of models are not published in a transparency log.
PRIVATE = ("--tlog-upload=false", "--use-signing-config=false")
PRIVATELY = "--insecure-ignore-tlog=true"


@dataclass(frozen=True)
class Signing:
    """How images are signed and verified; if all fields are empty, they are not. See VARIABLES."""

    key: str = ""
    public_key: str = ""
    identity: str = ""
    issuer: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Signing":
        """Read the settings.

        Raises:
            UsageError: an identity without its issuer, or the other way round.
        """
        found = cls(*(environment.get(variable, "") for variable in VARIABLES))
        if bool(found.identity) != bool(found.issuer):
            raise UsageError(
                "signing without a key",
                expected="both COSIGN_IDENTITY and COSIGN_ISSUER",
                found="one of them",
                next_step="set the other one too",
            )
        return found

    @property
    def signs(self) -> bool:
        """Whether there is something to sign with."""
        return bool(self.key or (self.identity and not self.public_key))

    @property
    def verifies(self) -> bool:
        """Whether an image has to be signed to be used."""
        return bool(self.key or self.public_key or self.identity)

    def sign(self, reference: str, release: str, evidence: str, sbom: Path) -> None:
        """Sign an image as that of a release and attest its SBOM, both beside it in the registry.

        Args:
            reference: the image by digest.
            release: id of the release.
            evidence: digest of what its validation left; "" where that was never bound.
            sbom: CycloneDX JSON.

        Raises:
            OutsideError: cosign, the key or the registry does not do it.
        """
        by = ["--key", self.key, *PRIVATE] if self.key else []
        claims = _claims(release, evidence)
        _done(["cosign", "sign", "--yes", *by, *claims, reference], reference)
        about = ["--type", "cyclonedx", "--predicate", str(sbom)]
        _done(["cosign", "attest", "--yes", *by, *about, reference], reference)

    def verify(self, reference: str, release: str, evidence: str) -> None:
        """Refuse an image that is not signed as that of a release; nothing if none has to be.

        Raises:
            RefusedError: it is not signed, by somebody else, as another release's, or as that of
                other evidence.
            OutsideError: cosign or the key cannot be had.
        """
        if not self.verifies:
            return
        with tempfile.TemporaryDirectory() as folder:
            by = self._trusted(Path(folder))
            claims = _claims(release, evidence)
            done = call(["cosign", "verify", *by, *claims, reference], seconds=SECONDS)
        if done.code:
            raise RefusedError(
                f"image {reference}",
                expected=f"a signature for release {release} by {self.signer}"
                + (f", with evidence={evidence}" if evidence else ""),
                found=done.complaint.removeprefix("error during command execution: "),
                next_step="do not use it; build and push the release again where the key is set",
            )

    def attest_report(self, reference: str, report: Path) -> None:
        """Attest the gate report of an image's release, beside the image in its registry.

        Raises:
            OutsideError: cosign, the key or the registry does not do it.
        """
        by = ["--key", self.key, *PRIVATE] if self.key else []
        about = ["--type", GATES, "--predicate", str(report)]
        _done(["cosign", "attest", "--yes", *by, *about, reference], reference)

    def verify_report(self, reference: str, report: str) -> None:
        """Refuse a gate report other than the one attested for an image; nothing if none has to be.

        Args:
            reference: the image by digest.
            report: JSON, as the release has it now.

        Raises:
            RefusedError: none was attested by whoever is trusted, or it says something else.
            OutsideError: cosign or the key cannot be had.
        """
        if not self.verifies:
            return
        with tempfile.TemporaryDirectory() as folder:
            by = self._trusted(Path(folder))
            command = ["cosign", "verify-attestation", *by, "--type", GATES, reference]
            done = call(command, seconds=SECONDS)
        attested = [_predicate(line) for line in done.out.splitlines() if line.startswith("{")]
        if done.code or json.loads(report) not in attested:
            found = done.complaint.removeprefix("error during command execution: ")
            raise RefusedError(
                f"gate report of image {reference}",
                expected=f"the report that {self.signer} attested when the image was built",
                found=found if done.code else "another report",
                next_step="find out who changed it in the registry, and validate the version again",
            )

    @property
    def signer(self) -> str:
        """Whose signature is wanted, in words; "" if none is."""
        return "the configured key" if self.key or self.public_key else self.identity

    def _trusted(self, folder: Path) -> list[str]:
        """The options that say whose signature counts."""
        if self.public_key:
            return ["--key", self.public_key, PRIVATELY]
        if not self.key:
            return [
                *("--certificate-identity", self.identity),
                *("--certificate-oidc-issuer", self.issuer),
            ]
        public = folder / "cosign.pub"
        done = _done(["cosign", "public-key", "--key", self.key], "COSIGN_KEY")
        public.write_text(done.out, encoding="utf-8")
        return ["--key", str(public), PRIVATELY]


def _claims(release: str, evidence: str) -> list[str]:
    """What a signature says of an image."""
    return ["-a", f"release={release}", *(["-a", f"evidence={evidence}"] if evidence else [])]


def _predicate(line: str) -> Any:
    """What a line of `cosign verify-attestation`, an in-toto statement in an envelope, states."""
    statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
    return statement["predicate"]


def _done(command: list[str], what: str) -> Done:
    """Run cosign where a failure is an error, and says nothing about an image."""
    done = call(command, seconds=SECONDS)
    if done.code:
        raise OutsideError(
            f"cosign {command[1]} {what}",
            found=done.complaint.removeprefix("error during command execution: "),
            next_step="check COSIGN_KEY, COSIGN_PASSWORD and the login to the registry, then run "
            "the same command again",
        )
    return done
