"""The little of GitHub's REST API that a release needs: protection, approvals, one issue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from model_release.errors import OutsideError, UsageError

API = "https://api.github.com"
API_VERSION = "2022-11-28"
FORBIDDEN = (401, 403, 404)
"""What GitHub answers to a token that may not do this; 404 hides what it may not see."""

STATUS = "read https://www.githubstatus.com, then run the same command again"
SECONDS = 30.0
PAGE = 100


@dataclass(frozen=True)
class GitHub:
    """One repository on GitHub.

    Args:
        repository: `owner/name`.
        token: of the job or of a person; "" asks what everybody may know.
        api: address of the API, GitHub Enterprise's has a path.
    """

    repository: str
    token: str = field(default="", repr=False)
    api: str = API

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "GitHub":
        """The repository whose workflow runs, as GITHUB_REPOSITORY and its like say.

        Raises:
            UsageError: not in a workflow of GitHub.
        """
        repository = environment.get("GITHUB_REPOSITORY", "")
        if repository.count("/") != 1:
            raise UsageError(
                "repository on GitHub",
                expected="owner/name in GITHUB_REPOSITORY",
                found=repository or "nothing",
                next_step="run this in a workflow, or set GITHUB_REPOSITORY and GITHUB_TOKEN",
            )
        api = environment.get("GITHUB_API_URL") or API
        return cls(repository, environment.get("GITHUB_TOKEN", ""), api.rstrip("/"))

    def environment(self, name: str) -> dict[str, Any] | None:
        """How an environment is set up, as GitHub tells it; None where there is none."""
        found: dict[str, Any] | None = self.find(f"environments/{quote(name, safe='')}")
        return found

    def branch_policies(self, environment: str) -> list[str]:
        """Patterns of what may deploy to an environment with custom ones: branches, `tag v*`."""
        path = f"environments/{quote(environment, safe='')}/deployment-branch-policies"
        found = self.find(f"{path}?per_page={PAGE}") or {}
        return [
            f"tag {policy['name']}" if policy.get("type") == "tag" else str(policy["name"])
            for policy in found.get("branch_policies", ())
        ]

    def run(self, run_id: str) -> dict[str, Any]:
        """A workflow run: who dispatched it, where it is to be read."""
        found: dict[str, Any] = self._ask("GET", f"actions/runs/{quote(run_id, safe='')}")
        return found

    def attempts(self, run: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every attempt of a workflow run, in order; it itself is the last one."""
        path = f"actions/runs/{run['id']}/attempts"
        earlier = [self._ask("GET", f"{path}/{n}") for n in range(1, int(run["run_attempt"]))]
        return [*earlier, dict(run)]

    def approvals(self, run_id: str) -> list[dict[str, Any]]:
        """Who said what about the deployments of a workflow run."""
        found = self._ask("GET", f"actions/runs/{quote(run_id, safe='')}/approvals")
        return list(found)

    def open_issues(self, label: str) -> list[dict[str, Any]]:
        """Open issues with a label, oldest first; pull requests are not among them."""
        path = f"issues?state=open&labels={quote(label, safe='')}&direction=asc&per_page={PAGE}"
        return [issue for issue in self._ask("GET", path) if "pull_request" not in issue]

    def create_issue(self, title: str, body: str, label: str) -> int:
        """Open an issue; return its number."""
        content = {"title": title, "body": body, "labels": [label]}
        return int(self._ask("POST", "issues", content)["number"])

    def change_issue(self, number: int, **content: str) -> None:
        """Change an issue's title, body or state."""
        self._ask("PATCH", f"issues/{number}", content)

    def comment(self, number: int, body: str) -> None:
        """Add a comment to an issue."""
        self._ask("POST", f"issues/{number}/comments", {"body": body})

    def change(self, method: str, path: str, content: Mapping[str, Any]) -> None:
        """Send one change below the repository, such as PUT environments/production."""
        answer = self._send(method, path, content)
        if not answer.ok:
            self._content(answer, path)

    def find(self, path: str) -> Any:
        """What is at a path below the repository, or below the API with a leading slash.

        None where nothing is.
        """
        answer = self._send("GET", path)
        return None if answer.status_code == 404 else self._content(answer, path)

    def _ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        return self._content(self._send(method, path, content), path)

    def _send(
        self, method: str, path: str, content: Mapping[str, Any] | None = None
    ) -> requests.Response:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
        }
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        below = path if path.startswith("/") else f"/repos/{self.repository}/{path}"
        url = f"{self.api}{below.rstrip('/')}"
        try:
            return requests.request(method, url, json=content, headers=headers, timeout=SECONDS)
        except requests.RequestException as error:
            raise OutsideError(
                f"GitHub at {self.api}",
                expected="an answer",
                found=type(error).__name__,
                next_step=STATUS,
            ) from error

    def _content(self, answer: requests.Response, path: str) -> Any:
        if not answer.ok:
            raise OutsideError(
                f"GitHub: {path.partition('?')[0]} of {self.repository}",
                expected="an answer",
                found=f"{answer.status_code} {_message(answer)}",
                next_step="give the token the permission that this request needs"
                if answer.status_code in FORBIDDEN
                else STATUS,
            )
        return answer.json()


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return str(answer.reason)
