"""A document as one HTML file: no script, nothing from elsewhere, plots as inline SVG."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model_release.report import Document, printable, shares
from model_release.report.signs import SIGNS


def html(document: Document) -> str:
    """The document as a file that shows the same for ever, wherever it is opened."""
    template = _environment().get_template("document.html")
    return template.render(document=document, signs=SIGNS, shares=shares, anchor=_anchor)


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _shown(value: Any) -> Any:
    """Every text without control characters; what a macro made is markup and stays."""
    return printable(value) if type(value) is str else value


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower())
