"""The files generated from the gates' definitions: `models/schema.json` and `docs/gates.md`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model_release import commands
from model_release.config import schema
from model_release.errors import UsageError
from model_release.gates import gates

EXAMPLE = Path("models/iris-classifier.yaml")
BESIDE_GATES = ("holdout", "production", "local")
"""Sections of no gate. `kubernetes` is not here: docs/kubernetes.md describes it."""

WRITE = commands.make("schema")
HEADER = f"""<!-- Generated from model_release/gates/ by `{WRITE}`; edit it there. -->

# The gates

Asked in this order, for every model version, with the limits under `gates:` in
`models/<name>.yaml` (`models/default.yaml` for a model without a file). A gate that is left out is
asked with its defaults. Each answers *passed*, *failed*, *error* or *skipped*; only a pass, or a
skip that the YAML gives a reason for (`skip: <reason>`, which every gate accepts), lets a release
on. A new gate is one file in `model_release/gates/` and, for its limits, a line of YAML.

An example, `{EXAMPLE.as_posix()}`:
"""


def _type(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON schema node as a reader would say it."""
    if "anyOf" in node:  # a value or null
        return _type(node["anyOf"][0], definitions)
    if "enum" in node:
        return "metric" if len(node["enum"]) > 9 else " or ".join(f"`{x}`" for x in node["enum"])
    if "$ref" in node:
        bounds = definitions[node["$ref"].rpartition("/")[2]]["properties"]
        return "{" + ", ".join(bounds) + "}"
    if node.get("type") == "object":
        return f"map of name to {_type(node['additionalProperties'], definitions)}"
    if node.get("type") == "array":
        return f"list of {_type(node['items'], definitions)}"
    return str(node["type"])


def _table(title: str, section: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    """A heading, the section's description, and a row for each of its keys."""
    yield from ("", f"## {title}", "", str(section["description"]))
    needs = section.get("anyOf", [section])[0].get("required", [])
    keys = {name: node for name, node in section["properties"].items() if name != "skip"}
    if keys:
        yield from ("", "| key | type | default | meaning |", "| --- | --- | --- | --- |")
    for name, node in keys.items():
        default = "needed" if name in needs else f"`{json.dumps(node['default'])}`"
        kind = _type(node, definitions)
        yield f"| `{name}` | {kind} | {default} | {node['description']} |"


def gates_markdown(example: str) -> str:
    """The page docs/gates.md, with `example` as its YAML."""
    definitions = schema()["$defs"]
    sections = definitions["Gates"]["properties"]
    lines = [HEADER, "```yaml", example.rstrip(), "```"]
    for number, name in enumerate(gates(), start=1):
        limits = definitions[sections[name]["$ref"].rpartition("/")[2]]
        lines += _table(f"{number}. {name}", limits, definitions)
    for section in BESIDE_GATES:
        lines += _table(section, definitions[section.capitalize()], definitions)
    return "\n".join(lines) + "\n"


def generated(root: Path) -> dict[Path, str]:
    """The files that follow from the gates, and what they should hold."""
    example = (root / EXAMPLE).read_text(encoding="utf-8")
    return {
        root / "models/schema.json": json.dumps(schema(), indent=2) + "\n",
        root / "docs/gates.md": gates_markdown(example),
    }


def write_generated(root: Path) -> None:
    """Write both files into the checkout at `root`."""
    for path, text in generated(root).items():
        path.write_text(text, encoding="utf-8")


def check_generated(root: Path) -> None:
    """Raise UsageError for the first of both files that is not what the gates say."""
    for path, text in generated(root).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise UsageError(
                f"{path} is out of date",
                expected="the file that model_release/gates/ generates",
                found="another text" if path.is_file() else "no file",
                next_step=f"run `{WRITE}` and commit the result",
            )
