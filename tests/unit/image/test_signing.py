"""Signing: what the settings mean, with a cosign that writes down how it is called."""

import base64
import json
from pathlib import Path

import pytest

from model_release.errors import OutsideError, RefusedError, UsageError
from model_release.image.signing import GATES, Signing

IMAGE = "r/i@sha256:" + "a" * 64


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File in which each call of cosign leaves a line; it fails where a file `fail` lies beside."""
    log = tmp_path / "calls"
    script = tmp_path / "cosign"
    script.write_text(
        f'#!/bin/sh\necho "$@" >>{log}\n'
        f'[ -e {tmp_path}/fail ] && {{ echo "Error: no signatures found" >&2; exit 10; }}\n'
        "echo PUBLIC\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return log


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_nothing_configured_signs_and_asks_nothing(calls: Path) -> None:
    signing = Signing.from_environment({})
    assert (signing.signs, signing.verifies) == (False, False)
    signing.verify(IMAGE, "r1", "e1")
    assert lines(calls) == []


def test_a_key_signs_for_a_release_without_publishing_it(calls: Path, tmp_path: Path) -> None:
    signing = Signing.from_environment({"COSIGN_KEY": "awskms://k"})
    signing.sign(IMAGE, "r1", "e1", tmp_path / "sbom")
    by = "--key awskms://k --tlog-upload=false --use-signing-config=false"
    assert lines(calls) == [
        f"sign --yes {by} -a release=r1 -a evidence=e1 {IMAGE}",
        f"attest --yes {by} --type cyclonedx --predicate {tmp_path}/sbom {IMAGE}",
    ]


def test_without_a_key_the_identity_counts(calls: Path, tmp_path: Path) -> None:
    signing = Signing.from_environment({"COSIGN_IDENTITY": "me", "COSIGN_ISSUER": "https://i"})
    signing.sign(IMAGE, "r1", "e1", tmp_path / "sbom")
    signing.verify(IMAGE, "r1", "e1")
    who = "--certificate-identity me --certificate-oidc-issuer https://i"
    assert [lines(calls)[0], lines(calls)[2]] == [
        f"sign --yes -a release=r1 -a evidence=e1 {IMAGE}",
        f"verify {who} -a release=r1 -a evidence=e1 {IMAGE}",
    ]


def test_a_public_key_verifies_and_cannot_sign(calls: Path) -> None:
    signing = Signing.from_environment({"COSIGN_PUBLIC_KEY": "k.pub"})
    assert (signing.signs, signing.verifies) == (False, True)
    signing.verify(IMAGE, "r1", "e1")
    assert lines(calls) == [
        f"verify --key k.pub --insecure-ignore-tlog=true -a release=r1 -a evidence=e1 {IMAGE}"
    ]


def test_who_is_not_known_is_refused(calls: Path) -> None:
    (calls.parent / "fail").touch()
    with pytest.raises(
        RefusedError,
        match="signature for release r1 by the configured key, with evidence=e1; found",
    ):
        Signing(public_key="k.pub").verify(IMAGE, "r1", "e1")
    with pytest.raises(OutsideError, match="cosign public-key COSIGN_KEY; found Error: no sign"):
        Signing(key="k").verify(IMAGE, "r1", "e1")


def test_a_gate_report_is_attested_and_has_to_be_the_same(calls: Path, tmp_path: Path) -> None:
    Signing(key="awskms://k").attest_report(IMAGE, tmp_path / "report.json")
    assert "attest --yes --key awskms://k" in lines(calls)[0]
    assert f"--type {GATES} --predicate {tmp_path}/report.json {IMAGE}" in lines(calls)[0]
    statement = json.dumps({"predicate": {"outcome": "passed"}}).encode()
    envelope = json.dumps({"payload": base64.b64encode(statement).decode()})
    (tmp_path / "cosign").write_text(f"#!/bin/sh\necho '{envelope}'\n")
    ours = Signing(public_key="k.pub")
    ours.verify_report(IMAGE, '{"outcome":  "passed"}')
    with pytest.raises(RefusedError, match=r"gate report of image .*; found another report"):
        ours.verify_report(IMAGE, '{"outcome": "refused"}')
    (tmp_path / "cosign").write_text("#!/bin/sh\necho 'Error: none' >&2; exit 1\n")
    with pytest.raises(RefusedError, match="found Error: none"):
        ours.verify_report(IMAGE, "{}")
    Signing().verify_report(IMAGE, "{}")


def test_without_cosign_nothing_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OutsideError, match=r"cosign cannot be run.*next: install cosign"):
        Signing(public_key="k.pub").verify(IMAGE, "r1", "e1")


@pytest.mark.parametrize("given", ["COSIGN_IDENTITY", "COSIGN_ISSUER"])
def test_half_a_keyless_setting_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="expected both COSIGN_IDENTITY and COSIGN_ISSUER"):
        Signing.from_environment({given: "x"})
