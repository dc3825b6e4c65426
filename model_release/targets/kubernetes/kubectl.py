"""Calls of kubectl in one context and one namespace; errors name the cause and the next step."""

import ctypes
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from model_release.errors import OutsideError
from model_release.targets.kubernetes.manifests import PREPARATION
from model_release.waiting import retry

FIELD_MANAGER = "model-release"
UNREACHABLE = re.compile(
    r"connection to the server .* was refused|[Uu]nable to connect to the server|connection refused"
    r"|i/o timeout|TLS handshake timeout|no route to host|connection reset by peer|unexpected EOF"
    r"|http2: client connection lost|apiserver not ready|etcdserver: (request timed out|leader)"
    r"|\(ServiceUnavailable\)|\(Timeout\)|\(ServerTimeout\)|: EOF$",
    re.MULTILINE,
)
LOGGED = re.compile(r"[EW]\d{4} ")
"""How a line of kubectl's own log begins, such as "E0930 12:00:00.0 memcache.go": no message."""

REASON = re.compile(r"Error from server \((\w+)\)|reason: (\w+)")
PREPARE = f"let a cluster administrator run `{PREPARATION}`"
MEND = (
    (r"localhost:8080|no configuration has been provided",
     "a kubeconfig", "set KUBECONFIG to the cluster's kubeconfig file"),
    (r"stat .*: no such file|error loading config file|[Cc]ouldn't get version/kind",
     "a readable kubeconfig", "correct KUBECONFIG"),
    (r"context .* does not exist", "a context of the kubeconfig",
     "choose one of `kubectl config get-contexts` with --context"),
    (r"Unauthorized|must be logged in|token.*expired|certificate has expired",
     "credentials that the cluster accepts", "renew the token or certificate in the kubeconfig"),
    (r"namespaces? \"[^\"]*\" not found", "the namespace to exist",
     PREPARE),
    (r"\(Forbidden\).*exceeded quota", "room in the namespace's quota",
     "raise the ResourceQuota, or lower resources in models/<name>.yaml"),
    (r"\(Forbidden\)", "the deployer's permissions in this namespace",
     PREPARE),
    (UNREACHABLE.pattern, "an API server that answers",
     "check that the cluster runs and that this machine's network reaches it"),
)  # fmt: skip
"""What kubectl says, what was expected, what the reader can do; the first that fits is told.

The environment is filled in: a shell reads `<environment>` as a redirection.
"""

RETRY_EVERY_SECONDS = 1.0
PROXY_SECONDS = 15.0
LIBC = ctypes.CDLL(None)
DIE_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG` of prctl(2)."""


class KubectlError(OutsideError):
    """A kubectl call failed; `reason` is the API server's word, such as NotFound, or empty."""

    reason = ""


class UnreachableError(KubectlError):
    """The API server did not answer."""


@dataclass(frozen=True)
class Kubectl:
    """Calls of kubectl in one namespace of one cluster.

    Args:
        namespace: where every call works.
        environment: whose namespace that is, for the command that prepares it.
        context: of the kubeconfig; the current one if empty.
        retry_seconds: seconds for which a call is tried again while the API server does not answer.
        timeout: seconds that a single call may take.
    """

    namespace: str
    environment: str
    context: str = ""
    retry_seconds: float = 5.0
    timeout: float = 60.0

    def retrying(self, seconds: float) -> "Kubectl":
        """A copy of this that waits longer for an API server that does not answer."""
        return replace(self, retry_seconds=seconds)

    def run(self, *arguments: str, text: str | None = None, allowed: tuple[int, ...] = (0,)) -> str:
        """Call kubectl; return its standard output.

        Args:
            arguments: after `kubectl --context … --namespace …`.
            text: its standard input.
            allowed: exit codes that are no error.

        Raises:
            KubectlError: kubectl is missing, was killed, took too long, or failed.
        """

        def call() -> str:
            return self._once(arguments, text, allowed)

        return retry(call, UnreachableError, self.retry_seconds, every=RETRY_EVERY_SECONDS)

    def json(self, *arguments: str, text: str | None = None) -> Any:
        """Call kubectl with JSON output, and parse it."""
        return json.loads(self.run(*arguments, "--output=json", text=text))

    def find(self, *arguments: str) -> Any | None:
        """`kubectl get` of one object as JSON; None where there is none."""
        found = self.run("get", *arguments, "--ignore-not-found", "--output=json")
        return json.loads(found) if found.strip() else None

    def apply(self, manifest: str) -> None:
        """Apply manifests server-side; what others changed by hand in their fields is set back."""
        manager = f"--field-manager={FIELD_MANAGER}"
        self.run("apply", "--server-side", "--force-conflicts", manager, "-f", "-", text=manifest)

    def diff(self, manifest: str) -> str:
        """What `apply` would change, as the API server sees it, all admission included."""
        manager = f"--field-manager={FIELD_MANAGER}"
        arguments = ("diff", "--server-side", "--force-conflicts", manager, "-f", "-")
        return self.run(*arguments, text=manifest, allowed=(0, 1))

    @contextmanager
    def proxy(self, name: str) -> Iterator[str]:
        """A local base URL of the API server, for nothing but the model's Service and pods.

        Args:
            name: the model's slug; its pods' names begin with it.
        """
        base = f"/api/v1/namespaces/{re.escape(self.namespace)}"
        paths = rf"^{base}/((pods/{name}-[a-z0-9-]+:[0-9]+|services/{name}:http)/proxy/|pods$)"
        command = [*self._command(), "proxy", "--port=0", f"--accept-paths={paths}"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_die_with_parent,
        )
        try:
            yield f"http://127.0.0.1:{_port(process)}/api/v1/namespaces/{self.namespace}"
        finally:
            process.terminate()
            process.communicate(timeout=PROXY_SECONDS)

    def _command(self) -> list[str]:
        context = [f"--context={self.context}"] if self.context else []
        return ["kubectl", *context, f"--namespace={self.namespace}"]

    def _once(self, arguments: tuple[str, ...], text: str | None, allowed: tuple[int, ...]) -> str:
        command = [*self._command(), f"--request-timeout={self.timeout:g}s", *arguments]
        try:
            done = subprocess.run(
                command,
                input=text,
                stdin=subprocess.DEVNULL if text is None else None,
                capture_output=True,
                text=True,
                timeout=self.timeout + 5,
                check=False,
            )
        except FileNotFoundError as error:
            raise KubectlError(
                "kubectl", expected="on PATH", found="no such program", next_step="install kubectl"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise UnreachableError(
                _called(arguments), expected=f"an answer in {self.timeout:g} s", found="none",
                next_step="see whether the API server is overloaded",
            ) from error  # fmt: skip
        # `diff` exits with 1 where something differs, and also where it failed and printed nothing.
        if done.returncode in allowed and (done.returncode == 0 or done.stdout):
            return done.stdout
        raise _error(arguments, done, self)


def _called(arguments: tuple[str, ...]) -> str:
    words = [word for word in arguments if not word.startswith("-")]
    return f"kubectl {' '.join(words[:2])}"


def _error(
    arguments: tuple[str, ...], done: subprocess.CompletedProcess[str], kubectl: Kubectl
) -> KubectlError:
    """The error of a failed call: what kubectl said, and what mends it."""
    lines = [line for line in done.stderr.strip().splitlines() if not LOGGED.match(line)]
    said = " ".join(dict.fromkeys(lines)) or done.stderr.strip()  # a list fails once an item
    if done.returncode < 0:
        said = f"kubectl was killed by {signal.Signals(-done.returncode).name}"
    expected, next_step = "", "try again; if it fails again, read `kubectl get events`"
    for pattern, wanted, mend in MEND:
        if re.search(pattern, said):
            expected, next_step = wanted, mend.format(environment=kubectl.environment)
            break
    kind = UnreachableError if UNREACHABLE.search(said) else KubectlError
    error = kind(
        f"{_called(arguments)} in namespace {kubectl.namespace}",
        expected=expected,
        found=said[:600],
        next_step=next_step,
    )
    reason = REASON.search(said)
    error.reason = (reason.group(1) or reason.group(2)) if reason else ""
    return error


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    line = process.stdout.readline()
    told = re.search(r"127\.0\.0\.1:(\d+)", line)
    if not told:
        raise KubectlError(
            "kubectl proxy",
            expected="a local port",
            found=line.strip() or "no answer",
            next_step="run `kubectl proxy --port=0` and read what it prints",
        )
    return int(told.group(1))


def _die_with_parent() -> None:
    """Let no proxy, which carries the deployer's rights, outlive a deploy that is killed."""
    LIBC.prctl(DIE_WITH_PARENT, signal.SIGTERM)
