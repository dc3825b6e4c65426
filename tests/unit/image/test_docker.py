"""Image: the command line, and what a lock says of the platform."""

from pathlib import Path

import pytest

from model_release.errors import UsageError
from model_release.image.docker import DOCKERFILE, Order, Platform, build_command, platform, resolve

BASE = "python:3.11-slim@sha256:" + "b" * 64
DIGEST = "sha256:" + "a" * 64
ORDER = Order(Path("/c"), "ghcr.io/owner/iris", "2-0123abcd", BASE, DIGEST, {"a.b": "c d"})


def command(environment: dict[str, str], *, push: bool = False) -> list[str]:
    target = Platform("3.11", "linux/amd64")
    return build_command(ORDER, target, Path("/a"), environment, push=push)


def test_the_whole_command_line() -> None:
    assert command({}, push=True) == [
        "docker",
        "buildx",
        "build",
        "--progress=plain",
        "--platform=linux/amd64",
        "--provenance=false",
        "--sbom=false",
        f"--file={DOCKERFILE}",
        "--build-context=tools=/a/tools",
        "--secret=id=index,src=/a/index",
        f"--build-arg=BASE_IMAGE={BASE}",
        "--build-arg=PYTHON_VERSION=3.11",
        f"--build-arg=MODEL_DIGEST={DIGEST}",
        "--build-arg=SOURCE_DATE_EPOCH=315532800",
        "--label=a.b=c d",
        "--output=type=image,name=ghcr.io/owner/iris:2-0123abcd,push=true,rewrite-timestamp=true,"
        "compression=zstd",
        "--metadata-file=/a/metadata.json",
        "/c",
    ]


def test_values_of_index_and_proxy_stay_out_of_the_command_line() -> None:
    hidden = {"UV_INDEX_URL": "https://u:secret@index", "HTTPS_PROXY": "http://u:secret@proxy"}
    said = command(hidden | {"UV_INDEX": "", "AWS_SECRET_ACCESS_KEY": "secret"})
    assert [option for option in said if option not in command({})] == ["--build-arg=HTTPS_PROXY"]


def test_a_build_that_runs_code_of_packages_gets_no_password_and_its_own_cache() -> None:
    hidden = {"UV_INDEX_URL": "https://u:secret@index", "HTTPS_PROXY": "http://u:secret@proxy"}
    target = Platform("3.11", "linux/amd64", builds=True)
    said = build_command(ORDER, target, Path("/a"), hidden, push=False)
    assert [option for option in said if option not in command({})] == [
        f"--build-arg=PACKAGE_CACHE={DIGEST}",
        "--build-arg=HTTPS_PROXY=http://proxy",
    ]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("# Python 3.11 on linux-x86_64; source builds refused", Platform("3.11", "linux/amd64")),
        (
            "# Python 3.12 on linux-aarch64; source builds allowed",
            Platform("3.12", "linux/arm64", builds=True),
        ),
    ],
)
def test_the_platform_is_the_one_that_was_locked_for(first: str, expected: Platform) -> None:
    assert platform(f"{first}\nnumpy==1\n") == expected


@pytest.mark.parametrize("first", ["# Python 3.11 on darwin-arm64; source builds refused", "six"])
def test_a_lock_for_another_system_is_refused(first: str) -> None:
    with pytest.raises(UsageError, match="expected one for Linux on x86_64 or aarch64; found"):
        platform(f"{first}\n")


def test_a_base_by_digest_needs_no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert resolve(BASE) == BASE


@pytest.mark.parametrize("entry", ["release.json", "requirements.lock", "model", "serving"])
def test_nothing_but_the_context_enters_the_build(entry: str) -> None:
    ignored = DOCKERFILE.with_name(f"{DOCKERFILE.name}.dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert f"!{entry}" in rules
    assert len([rule for rule in rules if rule.startswith("!")]) == 4
