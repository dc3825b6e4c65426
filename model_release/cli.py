"""The part that all scripts share: options, error lines, exit codes, where the report goes.

Exit codes: 0 passed, 1 a gate or check said no, 2 wrong usage, 3 something outside failed.
"""

import argparse
import getpass
import os
import secrets
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_release import ROOT
from model_release.errors import OutsideError, ReleaseError, UsageError, disk_full
from model_release.report import DetailedError, Report
from model_release.report.progress import Progress
from model_release.report.render import FORMATS, render
from model_release.workspace import Workspace

if TYPE_CHECKING:
    from model_release.releases import Release
    from model_release.stations.approve_model import Approval
    from model_release.targets import Target

Action = Callable[[argparse.Namespace, Workspace], Report]
EXIT_CODES = "exit codes: 0 passed · 1 a gate or check said no · 2 wrong usage · 3 outside fault"


def parser(
    description: str,
    example: str,
    *,
    model: bool = True,
    version: str | None = "the number of the model version; the newest one if not given",
) -> argparse.ArgumentParser:
    """The options that every script has; those of a model version unless `model` is false.

    `version` is the help of `--model-version`; None leaves that option out.
    """
    options = argparse.ArgumentParser(
        description=description,
        epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if model:
        add_env(options, "--model-name", "MODEL_NAME", "the model's registered name")
        if version:
            add_env(options, "--model-version", "MODEL_VERSION", version)
    where = "the address of MLflow; SQLite in the state folder if not given"
    add_env(options, "--tracking-uri", "MLFLOW_TRACKING_URI", where)
    add_env(options, "--home", "RELEASE_HOME", "the state folder", str(ROOT / ".release"))
    yaml = "the folder of <model>.yaml"
    add_env(options, "--models-dir", "MODELS_DIR", yaml, str(ROOT / "models"))
    options.add_argument(
        "--format", choices=FORMATS, default="table", help="the format of the report on stdout"
    )
    options.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the report to this file instead"
    )
    options.add_argument("--quiet", action="store_true", help="show no progress on stderr")
    options.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return options


def add_env(
    options: argparse.ArgumentParser, flag: str, variable: str, text: str, default: str = ""
) -> None:
    """Add an option whose default is an environment variable's value."""
    options.add_argument(
        flag,
        default=os.environ.get(variable) or default,
        metavar=variable,
        help=f"{text} (environment: {variable})",
    )


def add_target(options: argparse.ArgumentParser) -> None:
    """Add the choice of a target."""
    where = "where releases run: local or kubernetes"
    add_env(options, "--target", "RELEASE_TARGET", where, "local")
    cluster = "the context of the kubeconfig; needed for production if there are several"
    add_env(options, "--context", "KUBE_CONTEXT", cluster)
    add_env(options, "--k8s", "K8S_DIR", "the folder of the manifests", str(ROOT / "k8s"))


def add_deploy_options(options: argparse.ArgumentParser) -> None:
    """Add what a deployment needs: the target and the approver."""
    add_target(options)
    who = "the name of the person who approves production; if not given, the terminal asks"
    add_env(options, "--approve", "RELEASE_APPROVER", who)


def add_protection(options: argparse.ArgumentParser) -> None:
    """Add whether production has to be protected on GitHub."""
    text = "required, or optional if the plan of the repository cannot protect environments"
    add_env(options, "--protection", "PRODUCTION_PROTECTION", text, "required")


def add_image_options(options: argparse.ArgumentParser) -> None:
    """Add where images go and what they stand on."""
    where = "the host and path of the image, such as ghcr.io/owner; no image is built if not given"
    add_env(options, "--image-registry", "IMAGE_REGISTRY", where)
    base = "the base image, best by digest; python:3.x-slim-bookworm if not given"
    add_env(options, "--base-image", "BASE_IMAGE", base)


def add_release(options: argparse.ArgumentParser) -> None:
    """Add the choice of a release: what the jobs of a workflow hand on."""
    which = "the id of the release; the version's newest one if empty"
    add_env(options, "--release", "RELEASE_ID", which)
    image = "the digest that the image of the release must have; not checked if empty"
    add_env(options, "--image-digest", "IMAGE_DIGEST", image)


def release(arguments: argparse.Namespace, workspace: Workspace) -> "Release":
    """The release that the options name: by its id, else the newest one of the version."""
    from model_release.releases import exactly, started

    found = workspace.registry.version(arguments.model_name, arguments.model_version)
    named, digest = getattr(arguments, "release", ""), getattr(arguments, "image_digest", "")
    if named:
        return exactly(workspace.registry, named, found.name, found.version, digest)
    return started(workspace.registry, found.name, found.version)


def target(arguments: argparse.Namespace, workspace: Workspace) -> "Target":
    """The target that the options name, with the ports of the model's configuration.

    Raises:
        UsageError: no such target, or a variable that is not a port number.
    """
    if arguments.target == "kubernetes":
        from model_release.targets.kubernetes.target import KubernetesTarget

        return KubernetesTarget(
            Path(arguments.k8s).resolve(),
            lambda name: workspace.config(name).kubernetes,
            arguments.context,
        )
    if arguments.target != "local":
        raise UsageError(
            f"target {arguments.target!r}",
            expected="local or kubernetes",
            next_step="give --target local or --target kubernetes",
        )
    from model_release.targets.local.target import LocalTarget

    model = getattr(arguments, "model_name", None)
    ports = {}
    if model:
        local = workspace.config(model).local
        ports = {
            "staging": _port("STAGING_PORT", local.staging_port),
            "production": _port("PRODUCTION_PORT", local.production_port),
        }
    return LocalTarget(workspace.home, ports)


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise UsageError(
            f"{variable}={text}",
            expected="a port number from 1 to 65535",
            next_step=f"set {variable} to a free port, or unset it",
        )
    return int(text)


def approval(arguments: argparse.Namespace, workspace: Workspace, target: "Target") -> "Approval":
    """How production is approved: by a named person, by asking at the terminal, or by rule."""
    from model_release.stations.approve_model import Approval

    said = workspace.config(arguments.model_name).production.protected
    return Approval(
        protected=target.protected if said is None else said,
        user=getpass.getuser(),
        given=arguments.approve,
        target=target.name,
        ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
    )


def _ask(question: str) -> bool:
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def run(options: argparse.ArgumentParser, argv: Sequence[str] | None, action: Action) -> int:
    """Parse, call `action`, put its report where it belongs; return the exit code."""
    _stop_workflow_commands()
    arguments = options.parse_args(argv)
    try:
        return _emit(_attempt(arguments, action), arguments)
    except OSError as error:
        sys.stderr.write(f"error: report: {error}\n")
        return 3


def _stop_workflow_commands() -> None:
    """Tell GitHub's runner that no line from here to the step's end is a command to it.

    What models, pods and registries say is printed, and a line such as `::add-mask::` or
    `##[error]` in it would be carried out. Nobody knows the word that would end this.
    """
    if os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stderr.write(f"::stop-commands::{secrets.token_hex(16)}\n")
        sys.stderr.flush()


def _attempt(arguments: argparse.Namespace, action: Action) -> Report:
    workspace = Workspace(
        home=Path(arguments.home).resolve(),
        models_dir=Path(arguments.models_dir).resolve(),
        tracking_uri=arguments.tracking_uri,
        progress=Progress(quiet=arguments.quiet),
    )
    try:
        if getattr(arguments, "model_name", None) == "":
            raise UsageError(
                "model name",
                expected="--model-name or MODEL_NAME",
                found="neither",
                next_step="give --model-name NAME, or set MODEL_NAME",
            )
        return action(arguments, workspace)
    except (Exception, KeyboardInterrupt) as cause:  # noqa: BLE001 - the last line of defence
        if arguments.debug:
            traceback.print_exc()
        return _failure(_known(cause))


def _known(cause: BaseException) -> ReleaseError:
    """The error to show for an exception: itself, if it was raised on purpose."""
    if isinstance(cause, ReleaseError):
        return cause
    if isinstance(cause, KeyboardInterrupt):
        return OutsideError("interrupted", next_step="run the same command again; it goes on")
    if isinstance(cause, OSError) and cause.filename:
        return disk_full(cause) or OutsideError(
            f"file {cause.filename}",
            expected="a file that can be read or written",
            found=cause.strerror or type(cause).__name__,
            next_step="check that its folder exists and is yours, then run the same command again",
        )
    return disk_full(cause) or OutsideError(
        f"unexpected {type(cause).__name__}",
        found=str(cause)[:300],
        next_step="run the same command again with --debug and report the traceback",
    )


def _failure(error: ReleaseError) -> Report:
    """Say an error in one line on standard error; return the report of it."""
    outcome = "refused" if error.exit_code == 1 else "error"
    sys.stderr.write(f"{outcome}: {error}\n")
    parts = ("what", "expected", "found", "next_step")
    return Report(
        title=Path(sys.argv[0]).stem or "release",
        outcome=outcome,
        tables=error.tables if isinstance(error, DetailedError) else (),
        lines=[str(error)],
        data={"error": {part: getattr(error, part) for part in parts}},
        exit_code=error.exit_code,
    )


def _emit(report: Report, arguments: argparse.Namespace) -> int:
    width = shutil.get_terminal_size((120, 24)).columns
    to_terminal = sys.stdout.isatty() and not arguments.output
    text = render(report, arguments.format, width, to_terminal)
    if arguments.output:
        _write_whole(arguments.output, text)
    elif "error" not in report.data or report.tables or arguments.format != "table":
        sys.stdout.write(text)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(render(report, "markdown") + "\n")
    return report.exit_code


def _write_whole(path: Path, text: str) -> None:
    """Write a file completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)
