"""Where this server deliberately answers otherwise than MLflow's scoring server, and why.

The differential test sends each request to both and expects `expected(…)` of what MLflow answered:
what is not in this table must be equal in status, content type and body.

Without a counterpart in MLflow, so never seen there: 413 (body too large), 408 (body too slow), 429
(too many wait), 503 (`/ready` while draining). Kept from MLflow on purpose: its messages quote the
caller's own input back to the caller; they are never logged.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from serving.protocol import NO_CONTENT_TYPE, UNREADABLE, Answer

OWN_PATHS = frozenset(("/model", "/ready", "/metrics"))
_NOT_FOUND = Answer(404, b'{"detail":"Not Found"}')
_PAGES = frozenset(("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"))


class Difference(NamedTuple):
    """One rule: turns MLflow's answer into the one given here, or returns None where it is equal.

    `rewrite` takes the path, whether a Content-Type was sent, and MLflow's answer.
    """

    what: str
    reason: str
    rewrite: Callable[[str, bool, Answer], Answer | None]


def _without_trace(_path: str, _typed: bool, theirs: Answer) -> Answer | None:
    if theirs.status == 200 or b'"stack_trace"' not in theirs.body:
        return None
    fields = json.loads(theirs.body)
    fields.pop("stack_trace", None)
    return theirs._replace(body=json.dumps(fields).encode())


def _untyped(_path: str, typed: bool, theirs: Answer) -> Answer | None:
    return NO_CONTENT_TYPE if theirs.status == 500 and not typed else None


def _unreadable(_path: str, typed: bool, theirs: Answer) -> Answer | None:
    return UNREADABLE if theirs.status == 500 and typed and theirs.body[:1] != b"{" else None


def _no_pages(path: str, _typed: bool, theirs: Answer) -> Answer | None:
    return _NOT_FOUND if path in _PAGES and theirs.status != 404 else None


def _no_redirect(path: str, _typed: bool, theirs: Answer) -> Answer | None:
    return _NOT_FOUND if theirs.status == 307 and path.endswith("/") else None


DIFFERENCES = (
    Difference(
        "an error has no `stack_trace`",
        "it shows paths and code of the model to any caller; the server logs where it failed",
        _without_trace,
    ),
    Difference(
        "a request without Content-Type is 415 instead of 500",
        "MLflow trips over the missing header; it is the caller's mistake",
        _untyped,
    ),
    Difference(
        "a body that makes MLflow's parser raise something unforeseen is 400 instead of 500",
        "the body is at fault, not the server; alerts on 5xx stay meaningful",
        _unreadable,
    ),
    Difference(
        "no `/docs`, `/redoc`, `/openapi.json`",
        "pages of its web framework, not of its protocol; they load scripts from elsewhere",
        _no_pages,
    ),
    Difference(
        "a path with a slash too many is 404 instead of a redirect",
        "the redirect repeats the caller's Host header, and loses the body with many clients",
        _no_redirect,
    ),
)


def expected(path: str, *, typed: bool, theirs: Answer) -> Answer:
    """What this server has to answer where MLflow answered `theirs`.

    Args:
        path: of the request; not one of `OWN_PATHS`.
        typed: whether the request had a Content-Type.
        theirs: status, body and content type of MLflow's answer (other headers are not compared).
    """
    for difference in DIFFERENCES:
        theirs = difference.rewrite(path, typed, theirs) or theirs
    return theirs
