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
"""The stations in the order of the road, each with the script that is it and its options."""

STATIONS = tuple(SCRIPTS)


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


def station(name: str, model: str, version: str = "", *, push: bool = False) -> str:
    """The script of one station; the model's newest version where none is named."""
    called, options = SCRIPTS[name]
    return script(called, **options, model_name=model, model_version=version, push=push)
