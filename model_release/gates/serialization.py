"""Serialization: loading the model runs only code that is trusted by name."""

from typing import Annotated

from pydantic import Field, StringConstraints

from model_release.gates.evidence import Serialization, SerializedFile
from model_release.gates.outcome import GateLimits, Outcome, failed, passed

EVIDENCE = Serialization
NAMED = 5
"""Names that the report lists before it only counts."""

TypeName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z_]\w*(\.\w+)+(\.\*)?$|^[A-Za-z_]\w*\.\*$"
        r"|^[A-Za-z_]\w*(\.\w+)*:\w+(\.\w+)+$"
    ),
]


class Limits(GateLimits):
    """No pickle, or only from trusted flavors or of trusted types; what it imports is named."""

    trusted_flavors: tuple[str, ...] = Field(
        (),
        description="MLflow flavors whose files may run any code when loaded: `python_function`.",
    )
    trusted_types: tuple[TypeName, ...] = Field(
        (),
        description="Dotted names that files may import when loaded; a name that ends in `.*` "
        "trusts all that lies below it, but for `module:name.name`, which may lead anywhere.",
    )


def _is_trusted(name: str, trusted: tuple[str, ...]) -> bool:
    if name in trusted:
        return True
    below = [entry[:-1] for entry in trusted if entry.endswith(".*")]
    return ":" not in name and name.startswith(tuple(below))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _objection(file: SerializedFile, limits: Limits) -> str:
    """Why the file is not trusted by its types; empty when it is."""
    if file.format in ("python", "unknown"):
        return {"python": "python code", "unknown": "a format that cannot be read"}[file.format]
    untrusted = [name for name in file.imports if not _is_trusted(name, limits.trusted_types)]
    if untrusted:
        return f"{file.format}, imports {_some(untrusted)}"
    return "" if file.format in ("pickle", "skops") else f"format {file.format}"


def judge(evidence: Serialization, limits: Limits) -> Outcome:
    """Pass when every file was read to its end and has trusted types only, or trusted flavors."""
    required = "no code at load time but trusted types"
    if limits.trusted_flavors:
        required += f", or flavors {', '.join(limits.trusted_flavors)}"
    unread = [f"{file.path}: {file.problem}" for file in evidence.files if file.problem]
    if unread:
        return failed(
            required,
            "; ".join(unread),
            "save the model in a format that can be read without loading it, such as skops",
        )
    flavors = bool(evidence.flavors) and set(evidence.flavors) <= set(limits.trusted_flavors)
    objections = [
        f"{file.path}: {why}" for file in evidence.files if (why := _objection(file, limits))
    ]
    if objections and not flavors:
        return failed(
            required,
            "; ".join(objections),
            "save with skops or the flavor's own format; or review these and name them in "
            "gates.serialization.trusted_types, or name the flavor in trusted_flavors "
            f"({', '.join(evidence.flavors) or 'none found'})",
        )
    imports = sorted({name for file in evidence.files for name in file.imports})
    found = f"trusts {_some(imports)}" if imports else "nothing imported by name"
    if objections:
        found = f"trusted flavor {', '.join(evidence.flavors)}; {'; '.join(objections)}"
    return passed(required, found, files_with_code=len(evidence.files))
