"""GitHub's REST API for tests: answers as docs.github.com shows them, and what was asked of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from model_release.github import GitHub

REPOSITORY = "octo-org/models"
RUN = "30433642"


def environment(**changes: Any) -> dict[str, Any]:
    """`GET /repos/{owner}/{repo}/environments/production`, protected as it should be."""
    found = {
        "id": 161088068,
        "name": "production",
        "html_url": "https://github.com/octo-org/models/deployments/activity_log",
        "can_admins_bypass": False,
        "protection_rules": [
            {
                "id": 3755,
                "type": "required_reviewers",
                "prevent_self_review": True,
                "reviewers": [
                    {"type": "User", "reviewer": {"login": "octocat", "id": 1, "type": "User"}},
                    {"type": "Team", "reviewer": {"id": 1, "name": "Release", "slug": "release"}},
                ],
            },
            {"id": 3756, "type": "branch_policy"},
        ],
        "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
    }
    return {**found, **changes}


def approval(by: str, state: str = "approved", place: str = "production") -> dict[str, Any]:
    """One entry of `GET /repos/{owner}/{repo}/actions/runs/{run_id}/approvals`."""
    return {
        "state": state,
        "comment": "Ship it!",
        "environments": [{"id": 161088068, "name": place}],
        "user": {"login": by, "id": 1, "type": "User"},
    }


def workflow_run(dispatcher: str, again: str = "", attempt: int = 1) -> dict[str, Any]:
    """`GET /repos/{owner}/{repo}/actions/runs/{run_id}`; `again`: who ran this attempt of it."""
    return {
        "id": int(RUN),
        "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{RUN}",
        "event": "workflow_dispatch",
        "run_attempt": attempt,
        "actor": {"login": dispatcher},
        "triggering_actor": {"login": again or dispatcher},
    }


@dataclass
class Recorded:
    """A repository on it. `answers` are by method and path below the repository, `failures` too."""

    api: str
    answers: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    issues: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    @property
    def client(self) -> GitHub:
        return GitHub(REPOSITORY, "ghs_token", self.api)

    def protect(self, **changes: Any) -> None:
        """Have the environment production, with `changes` to how it should be."""
        self.answers["GET environments/production"] = environment(**changes)
        self.answers["GET environments/production/deployment-branch-policies"] = {
            "total_count": 1,
            "branch_policies": [{"id": 361471, "name": "main", "type": "branch"}],
        }

    def reviewed(self, dispatcher: str, *approvals: dict[str, Any], run: str = RUN) -> None:
        """Have a workflow run, dispatched and approved."""
        self.answers[f"GET actions/runs/{run}"] = workflow_run(dispatcher)
        self.answers[f"GET actions/runs/{run}/approvals"] = list(approvals)

    def ran_again(self, *people: str, run: str = RUN) -> None:
        """Have a run that was dispatched run again by these, one attempt each."""
        first = self.answers[f"GET actions/runs/{run}"]
        attempts = [
            workflow_run(first["actor"]["login"], again, number)
            for number, again in enumerate(("", *people), 1)
        ]
        self.answers[f"GET actions/runs/{run}"] = attempts[-1]
        for number, each in enumerate(attempts, 1):
            self.answers[f"GET actions/runs/{run}/attempts/{number}"] = each

    def answer(self, method: str, path: str, content: Any) -> tuple[int, Any]:
        self.asked.append((f"{method} {path}", content))
        if status := self.failures.get(f"{method} {path}"):
            return status, {"message": "Sorry"}
        if path.split("/")[0] == "issues":
            return self._issues(method, path.split("/")[1:], content)
        if method != "GET":
            return 200, {}
        found = self.answers.get(f"{method} {path}")
        return (404, {"message": "Not Found"}) if found is None else (200, found)

    def _issues(self, method: str, rest: list[str], content: Any) -> tuple[int, Any]:
        if method == "GET":
            return 200, [issue for issue in self.issues if issue["state"] == "open"]
        if not rest:
            issue = {"number": len(self.issues) + 1, "state": "open", "comments": [], **content}
            self.issues.append(issue)
            return 201, issue
        issue = self.issues[int(rest[0]) - 1]
        if rest[1:] == ["comments"]:
            issue["comments"].append(content["body"])
            return 201, content
        issue.update(content)
        return 200, issue


@contextmanager
def serve() -> Iterator[Recorded]:
    """The API on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = json.loads(self.rfile.read(length)) if length else None
            path = urlsplit(self.path).path.removeprefix(f"/repos/{REPOSITORY}").removeprefix("/")
            if self.path.startswith("/users/"):
                path = self.path
            recorded.tokens.add(self.headers.get("Authorization") or "")
            status, body = recorded.answer(self.command, path, content)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorded = Recorded(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield recorded
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
