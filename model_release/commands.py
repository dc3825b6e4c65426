"""The stations in order, and the commands that this software suggests, each as a shell takes it."""

import shlex

SCRIPTS: dict[str, tuple[str, dict[str, str]]] = {
    "validate": ("validate_model", {}),
    "build": ("build_image", {}),
    "deploy-staging": ("deploy_model", {"environment": "staging"}),
    "smoke": ("smoke_test", {}),
    "approve": ("deploy_model", {"environment": "production"}),
    "deploy-production": ("deploy_model", {"environment": "production"}),
    "promote": ("promote_model", {}),
}
"""The stations in order, each with the script that runs it and the options of that script.

`approve` has the script of the deployment to production, because that asks for the approval.
"""

STATIONS = tuple(SCRIPTS)
WITHOUT_TARGET = ("validate", "build")
"""Stations that end before a target is chosen: their scripts have no such option."""

APPROVER, REASON, REGISTRY = "<your name>", "<reason>", "<host/path>"
"""Stand for what only a person can say; each check refuses them as they stand."""

WHICH_TARGET = "<local or kubernetes>"
"""Stands where no target is known: whoever runs the command names it, none is guessed."""


def before(station: str) -> tuple[str, ...]:
    """The stations that a release passes before this one."""
    return STATIONS[: STATIONS.index(station)]


def script(name: str, *values: str, **options: str | bool) -> str:
    """The call of a script. An option that is True is a flag; one that is empty is left out."""
    words = ["python", f"scripts/{name}.py", *values]
    for option, value in options.items():
        if value:
            words.append(f"--{option.replace('_', '-')}")
            words += [] if value is True else [value]
    return shlex.join(words)


def make(goal: str, **variables: str) -> str:
    """The call of a goal of the Makefile. A variable that is empty is left out."""
    given = [f"{name}={value}" for name, value in variables.items() if value]
    return shlex.join(["make", goal, *given])


def workflow(name: str, **inputs: str) -> str:
    """The call that dispatches a workflow on GitHub."""
    given = [word for key, value in inputs.items() for word in ("-f", f"{key}={value}")]
    return shlex.join(["gh", "workflow", "run", f"{name}.yaml", *given])


def station(
    name: str, model: str, version: str = "", *, target: str = "", push: bool = False
) -> str:
    """The script of one station; of the model's newest version where none is named.

    With `push`, to an image registry that is not known here.
    """
    called, options = SCRIPTS[name]
    return script(
        called,
        **options,
        model_name=model,
        model_version=version,
        target="" if name in WITHOUT_TARGET else target,
        image_registry=REGISTRY if push else "",
        push=push,
    )


def release(model: str, version: str = "", *, target: str = "", approve: str = "") -> str:
    """The whole road, going on from where it stopped."""
    return make("release", MODEL=model, VERSION=version, TARGET=target, APPROVE=approve)


def rollback(
    model: str,
    *,
    version: str = "",
    release: str = "",
    reason: str = REASON,
    target: str = "",
) -> str:
    """The way back to the champion before, or to a version or release that was champion once."""
    return script(
        "rollback_model",
        model_name=model,
        model_version=version,
        release=release,
        reason=reason,
        target=target,
    )


def resume(model: str, release: str, target: str = "") -> str:
    """The rollback that was killed, again: it goes on."""
    return rollback(model, release=release, reason="going on with it", target=target)


def audit(model: str, *, fix: bool = False, target: str = "") -> str:
    """What names each difference from the ledger; with `fix` it mends what is safe to mend."""
    return script("audit_release", model_name=model, target=target, fix=fix)


def history(model: str) -> str:
    """The ledger of a model as a table."""
    return script("release_history", model_name=model)


def setup_github() -> str:
    """What shows how to protect production on GitHub, with what only a person knows left open."""
    return script("setup_github", reviewer="<login>", tracking_uri="<address>")
