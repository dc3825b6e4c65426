"""Text of a model is text: no command to GitHub's runner, no link or mention on a page."""

import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from model_release.errors import RefusedError
from model_release.measurement.code_files import scan
from model_release.measurement.mlmodel import read_flavors, read_signature
from model_release.report.markdown import cell

COMMANDS = [
    "::add-mask::a",
    "::error::the gate has passed",
    "  ::warning file=a.py,line=1::x",
    "::set-output name=digest::sha256:0",
    "::stop-commands::ours",
    "::ours::",
    "::add-matcher::/tmp/matcher.json",
    "a line with ##[add-mask]a in it",
    "##[error]x",
    "##[set-env name=PATH]/tmp",
]

SAYING = """
import sys
from model_release import cli
from model_release.errors import RefusedError
from model_release.report import Report, Table

way, *texts = sys.argv[1:]

def act(arguments, workspace):
    workspace.progress.step(text)
    if way == "error":
        raise RefusedError(text, found=text, next_step=text)
    if way == "traceback":
        raise ValueError(text)
    return Report("a title", "passed", [Table(text, (text, "b"), [("", text)])], [text])

options = cli.parser("says what a model says", "", model=False)
for text in texts:
    cli.run(options, ["--debug"] if way == "traceback" else [], act)
"""


def carried_out(log: str) -> list[str]:
    """What GitHub's runner would do, line by line, as its ActionCommandManager does."""
    done, stopped = [], ""
    for line in log.splitlines():
        match = re.match(r"\s*::(?P<name>[^: ]+)( [^:]*)?::(?P<value>.*)", line) or re.search(
            r"##\[(?P<name>[^] ]+)[^]]*\](?P<value>.*)", line
        )
        if match and stopped:
            stopped = "" if match["name"] == stopped else stopped
        elif match and match["name"] == "stop-commands":
            stopped = match["value"]
        elif match:
            done.append(line)
    return done


@pytest.mark.parametrize("way", ["error", "traceback", "report"])
def test_no_text_is_a_command_to_the_runner(tmp_path: Path, way: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAYING, way, *COMMANDS],
        env={**os.environ, "GITHUB_ACTIONS": "true", "RELEASE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert [text for text in COMMANDS if text.strip() not in done.stdout] == []
    assert carried_out(done.stdout) == [], done.stdout


def test_the_commands_are_ones() -> None:
    assert [text for text in COMMANDS if not carried_out(text)] == ["::stop-commands::ours"]


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a?b=c",
        "see www.example.com",
        "WWW.example.com",
        "@octocat",
        "&#64;octocat",
        "&commat;octocat and &num;1",
        "fixes #12",
        "octocat/hello#12",
        "GH-12",
        "<a href=x>",
        "[a](https://b)",
        "a | b",
    ],
)
def test_no_text_is_a_link_or_a_mention(text: str) -> None:
    said = cell(text)
    assert "://" not in said
    assert not re.search(r"(?i)\bwww\.|(?<!&)#\d|gh-\d|@\w|<|(?<!\\)[|\[]", said)
    assert re.findall(r"&(?!amp;|lt;|#58;|#46;)", said) == []


LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
)


@pytest.mark.parametrize(
    "text",
    [
        f"{LAUGHS}\nflavors: {{python_function: *a9}}\n",
        "\n".join(
            ["a0: &a0 {x: 1}"]
            + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
        ),
        "flavors: &a [*a]\n",
        "[" * 100_000,
        "flavors: " + "x" * 9_000_000,
        "flavors: [" + "1, " * 500_000 + "1]",
        "flavors: " + ":".join(["1"] * 200_000),
        f"signature: {{inputs: '{'[' * 100_000}'}}",
    ],
    ids=["aliases", "merges", "itself", "nested", "large", "many", "to the base of 60", "inner"],
)
def test_a_small_mlmodel_costs_little(tmp_path: Path, text: str) -> None:
    """Counted in processor time: written out, the first two hold a thousand million values."""
    (tmp_path / "MLmodel").write_text(text)
    begun = time.process_time()
    read_flavors(tmp_path)
    with pytest.raises(RefusedError, match="expected an MLmodel file"):
        read_signature(tmp_path, "1")
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.py", b"-" * 100_000 + b"1"),
        ("model.npy", b"\x93NUMPY\x02\x00" + (9001).to_bytes(4, "little") + b"-" * 9000 + b"1"),
    ],
)
def test_what_is_nested_too_deeply_is_a_problem_of_the_file(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    problems = {each.path: each.problem for each in scan(tmp_path).files}
    assert "MemoryError" in problems[name] or "no readable array" in problems[name]


def test_a_schema_that_unpacks_to_gigabytes_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * (2**28 + 1))
    problems = {each.path: each.problem for each in scan(tmp_path).files}
    assert problems["model.skops"] == "a schema that is too large"
