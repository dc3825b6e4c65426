"""What a model requires: understood and written anew, or refused with the line (pure).

The installer never sees a model's own text. It gets what is written here: names, extras, versions
and markers, which can be neither a path, a URL, a variable nor an option.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from model_release.errors import RefusedError
from model_release.processes.package_index import USER_OF_URL

REQUIREMENTS, CONSTRAINTS, CONDA = "requirements.txt", "constraints.txt", "conda.yaml"
MOST_CHARACTERS = 100_000
"""Of one file, without hashes and comments: a second's work; a thousand packages have a third."""
SHOWN = 160

NAMES_CONSTRAINTS = re.compile(r"(-c|--constraint)[ =]\s*constraints\.txt")
"""The one option that is understood: MLflow writes it."""

HASH = re.compile(r"\s--hash[ =](sha(?:256|384|512):[0-9a-f]{64,128})(?=\s|$)")

WRITTEN = re.compile(r"[A-Za-z0-9 ._\[\],<>=!~*+;()\"'-]+")
"""What a requirement of the index consists of: no slash, colon, dollar, at, backslash or brace."""

DIRECT = re.compile(r"https://([a-z0-9.-]+(?::\d+)?)/(?:[A-Za-z0-9_.~%+!,=@-]+/)*([\w.+%-]+\.whl)")
"""A URL that may be allowed: its host and file; no user, query or variable, one way to read it."""

REPOSITORY = re.compile(r"(^|[\s@])(git|hg|svn|bzr)(\+\w+:|@|:)", re.IGNORECASE)
PATH = re.compile(
    r"[.~/\\]|[a-z]:[/\\]|[^@:;]*[/\\]|.*\bfile:"
    r"|[\w.-]+?\.(whl|zip|egg|tgz|tbz|txz|tlz|tar)(?![\w-])",
    re.IGNORECASE,
)

PUBLISH = (
    "publish it as a wheel in the index that UV_INDEX names where the pipeline runs, and log the "
    "model again with name==version"
)


class LockError(RefusedError):
    """The model's environment cannot be locked or made."""


@dataclass(frozen=True)
class Line:
    """One line, understood.

    Args:
        text: the requirement, written anew, or `-c constraints.txt`.
        name: of the package, as indexes spell it; empty for the option.
        hashes: that its files may have, such as "sha256:…"; any, where there are none.
        direct: whether it is a wheel at the URL of an allowed host, bound by its hash.
    """

    text: str
    name: str = ""
    hashes: tuple[str, ...] = ()
    direct: bool = False

    def __str__(self) -> str:
        return " ".join([self.text, *(f"--hash={each}" for each in self.hashes)])


@dataclass(frozen=True)
class Requirements:
    """What a model requires; its constraints are None where `requirements.txt` names none."""

    lines: tuple[Line, ...]
    constraints: tuple[Line, ...] | None = None

    @property
    def texts(self) -> list[str]:
        """All of it, file by file: what a lock is kept by."""
        files = [self.lines] if self.constraints is None else [self.lines, self.constraints]
        return ["\n".join(map(str, each)) for each in files]

    @property
    def to_resolve(self) -> dict[str, str]:
        """The files that the installer sees, by name: what comes from the index."""
        files = {REQUIREMENTS: self.lines, CONSTRAINTS: self.constraints or ()}
        return {
            name: "".join(f"{line.text}\n" for line in lines if not line.direct)
            for name, lines in files.items()
        }

    @property
    def advice(self) -> str:
        """What to do where the installer cannot resolve it."""
        advice = "mend requirements.txt and log the model again, or see whether the index answers"
        local = [line.text for line in self.lines if re.search(r"==[\w.]+\+", line.text)]
        if local:
            version = local[0].partition("+")[0]
            advice += f"; {local[0]} is in an index of its own, never in PyPI: have UV_INDEX name "
            advice += f"it where the pipeline runs, or log the model with {version}"
        return advice

    def with_skinny(self) -> "Requirements":
        """mlflow-skinny in place of a pinned mlflow where that may do, else the same.

        Skinny does not bring numpy and pandas: the model has to require them itself.
        """
        if not {"numpy", "pandas"} <= {line.name for line in self.lines}:
            return self
        return replace(self, lines=tuple(map(_slim, self.lines)))

    def finish(self, lock: str) -> str:
        """The lock as it is kept: without files that the model's hashes exclude, with its wheels.

        Raises:
            LockError: no file of a package is left, or it comes from the index and a URL at once.
        """
        for line in chain(self.lines, self.constraints or ()):
            if not line.hashes:
                continue
            block = re.search(rf"(?m)^{line.name}==\S+((?: \\\n +--hash=\S+)+)", lock)
            if line.direct and block:
                why = "the index brings this package as well: another one requires it"
                raise _refusal(REQUIREMENTS, line.text, why, PUBLISH)
            if line.direct:
                lock += f"{line.text} \\\n    --hash={line.hashes[0]}\n"
            elif block:
                kept = [each for each in re.findall(r"=(\S+)", block[1]) if each in line.hashes]
                if not kept:
                    why = "the index has no file with this hash"
                    raise _refusal(REQUIREMENTS, str(line), why, "log the model again")
                hashes = "".join(f" \\\n    --hash={each}" for each in kept)
                lock = lock[: block.start(1)] + hashes + lock[block.end(1) :]
        return lock


def understand(files: Mapping[str, str], hosts: Collection[str] = ()) -> Requirements:
    """Read what a model requires.

    Args:
        files: texts by name: `requirements.txt`, and of `constraints.txt` and `conda.yaml` those
            that are there. Nothing is installed from `conda.yaml`; MLflow writes the same packages
            there for other tools, and the same is asked of it.
        hosts: that a requirement may name, such as "files.example.org" or "example.org:8443".

    Raises:
        LockError: a line is not understood, or names what is not allowed.
    """
    lines = _lines(REQUIREMENTS, files[REQUIREMENTS], hosts)
    for entry in _conda_entries(files.get(CONDA, "")):
        _lines(CONDA, entry, hosts)
    if all(line.name for line in lines):
        return Requirements(lines)
    if CONSTRAINTS not in files:
        step = "log the model again with mlflow"
        raise _refusal(REQUIREMENTS, "-c constraints.txt", "the model has no such file", step)
    return Requirements(lines, _lines(CONSTRAINTS, files[CONSTRAINTS], ()))


def _slim(line: Line) -> Line:
    if line.name != "mlflow" or line.hashes or not line.text.startswith("mlflow=="):
        return line
    text = f"mlflow-skinny{line.text.removeprefix('mlflow')}"
    return replace(line, text=text, name="mlflow-skinny")


def _lines(file: str, text: str, hosts: Collection[str]) -> tuple[Line, ...]:
    lines = list(_logical_lines(text.removeprefix("\ufeff")))  # as Windows' editors begin a file
    characters = sum(len(HASH.sub("", line)) + 1 for line in lines)
    if characters > MOST_CHARACTERS:
        raise LockError(
            f"{file} of the model",
            expected=f"at most {MOST_CHARACTERS} characters without hashes and comments",
            found=str(characters),
            next_step="log the model again with the packages that its code imports",
        )
    return tuple(_line(file, line, hosts) for line in lines)


def _logical_lines(text: str) -> Iterator[str]:
    """Lines as pip reads them: joined after a backslash, without comments and empty ones."""
    begun = ""
    for line in [*text.splitlines(), ""]:
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            begun += line[:-1]
            continue
        whole = re.sub(r"(^|\s)#.*$", "", begun if is_comment else begun + line).strip()
        begun = ""
        if whole:
            yield whole


def _conda_entries(text: str) -> Iterator[str]:
    """What `conda.yaml` lists below `pip:`."""
    try:
        # The plainest loader: scalars stay text, and merge keys, which can explode, are not read.
        read = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as error:
        raise LockError(
            f"{CONDA} of the model",
            expected="YAML, as mlflow writes it",
            found=type(error).__name__,
            next_step="log the model again with mlflow",
        ) from error
    listed = read.get("dependencies") if isinstance(read, dict) else None
    for each in listed if isinstance(listed, list) else ():
        entries = each.get("pip", ()) if isinstance(each, dict) else ()
        for entry in entries if isinstance(entries, list) else [entries] if entries else ():
            if not isinstance(entry, str):
                raise _refusal(CONDA, "pip:", "a list inside a list", "log the model again")
            yield entry


def _line(file: str, line: str, hosts: Collection[str]) -> Line:
    if file != CONSTRAINTS and NAMES_CONSTRAINTS.fullmatch(line):
        return Line("-c constraints.txt")
    if objection := _objection(line):
        raise _refusal(file, line, *objection)
    hashes = tuple(HASH.findall(line))
    try:
        requirement = Requirement(HASH.sub("", line))
        text = str(requirement)
    except (InvalidRequirement, RecursionError) as error:
        why = "it is no `name==version`, with or without extras and a marker"
        raise _refusal(file, line, why, "log the model again without this line") from error
    if requirement.url:
        return _direct(file, line, requirement, hashes, hosts)
    if not WRITTEN.fullmatch(text):
        why = "it holds a character that no package's name, version or marker needs"
        raise _refusal(file, line, why, "log the model again without this line")
    return Line(text, canonicalize_name(requirement.name), hashes)


def _objection(line: str) -> tuple[str, str] | None:
    """Why a line is no requirement, and what to do; None where it may be one."""
    without = "log the model again without this line"
    if "$" in line:
        return "a variable: none is ever expanded", without
    if line.startswith(("-e", "--editable")):
        return "a folder of somebody's machine", PUBLISH
    if line.startswith("-"):
        step = f"{without}; to choose an index, set UV_INDEX where the pipeline runs"
        return "an option", step
    if REPOSITORY.search(line):
        why = "a repository: its code would run to be built, and the index knows nothing of it"
        return why, PUBLISH
    if PATH.match(line):
        why = "a path: the installer sees no file of the model, nor of this machine"
        return why, f"{PUBLISH}; or log its source with code_paths=, without this line"
    if re.match(r"\w+://", line):
        return "a URL without the name of its package", PUBLISH
    return None


def _direct(
    file: str, line: str, requirement: Requirement, hashes: tuple[str, ...], hosts: Collection[str]
) -> Line:
    """A wheel at a URL: of a host that a reviewed YAML allows, bound by its hash, and no other."""
    url, _, fragment = str(requirement.url).partition("#")
    parts = DIRECT.fullmatch(url)
    if parts is None:
        why = "a URL other than https://host/….whl, without user, query and variable"
        raise _refusal(file, line, why, PUBLISH)
    host, wheel = parts.groups()
    if host not in hosts:
        step = f"{PUBLISH}; or have {host} reviewed and named in gates.environment.allow_hosts"
        raise _refusal(file, line, f"a URL of {host}, which is not allowed", step)
    digests = {*hashes, *([fragment.replace("sha256=", "sha256:", 1)] if fragment else [])}
    if len(digests) != 1 or not re.fullmatch("sha256:[0-9a-f]{64}", (digest := digests.pop())):
        step = "log the model again with #sha256=… of the wheel at the end of its URL"
        raise _refusal(file, line, "a URL without the SHA-256 that binds its file", step)
    name = canonicalize_name(requirement.name)
    if _name_of(wheel) != name:
        raise _refusal(file, line, "a URL of another package's wheel", PUBLISH)
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    if marker and not WRITTEN.fullmatch(marker):
        raise _refusal(file, line, "its marker is not understood", "log the model again")
    return Line(f"{name} @ {url}{marker}", name, (digest,), direct=True)


def _name_of(wheel: str) -> str:
    try:
        return parse_wheel_filename(wheel.replace("%2B", "+"))[0]
    except InvalidWheelFilename:
        return ""


def _refusal(file: str, line: str, why: str, next_step: str) -> LockError:
    shown = USER_OF_URL.sub("***@", line)
    shown = f"{shown[:SHOWN]}…" if len(shown) > SHOWN else shown
    return LockError(
        f"{file} of the model",
        expected="packages from the index",
        found=f"{shown!r}: {why}",
        next_step=next_step,
    )
