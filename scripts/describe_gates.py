"""Write `models/schema.json` and `docs/gates.md` from the gates' own definitions, or check them."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_release import ROOT
from model_release.config import schema
from model_release.errors import ReleaseError, UsageError
from model_release.gates import gates

EXAMPLE = Path("models/iris-classifier.yaml")
BESIDE_GATES = ("holdout", "production", "local")
"""Sections that are no gate's; `kubernetes` has a page of its own, docs/kubernetes.md."""

HEADER = f"""<!-- Generated from model_release/gates/ by `make schema`; edit it there. -->

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


def _check(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise UsageError(
                f"{path} is not what the gates say",
                expected="a file generated from model_release/gates/",
                found="another text" if path.is_file() else "no file",
                next_step="run `make schema` and commit the result",
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, then write or check; 0 done or up to date, 2 out of date."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python scripts/describe_gates.py --check"
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write both files")
    mode.add_argument("--check", action="store_true", help="fail if one is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout (default: this one)")
    options = parser.parse_args(argv)
    try:
        files = generated(options.root)
        if options.check:
            _check(files)
        else:
            for path, text in files.items():
                path.write_text(text, encoding="utf-8")
    except ReleaseError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
