"""The connection to MLflow: opened once, calls retried, its errors turned into ours.

MLflow takes over a second to import, so it is imported when a registry is opened, not before.
"""

import gc
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from model_release.errors import OutsideError, RefusedError, UsageError, disk_full
from model_release.registry.retries import MLFLOW_SETTINGS, RetriedCalls

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@contextmanager
def _without_collection() -> Iterator[None]:
    """Imports leave no garbage: looking for it takes a sixth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Connection:
    """An MLflow tracking server and registry, or a database URI of one.

    Args:
        uri: MLflow's tracking URI.
        artifacts: where the files of new experiments go; None leaves that to the server.

    Every method raises OutsideError when the registry cannot be reached or fails.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        for name, value in MLFLOW_DEFAULTS.items():
            os.environ.setdefault(name, value)
        os.environ.update(MLFLOW_SETTINGS)
        self.uri = uri
        self.place = re.sub(r"//[^/@]*@", "//", uri)
        self.artifacts = artifacts
        with _without_collection():
            import mlflow

            _bound_password()
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            with self._faults(""):
                self._client = RetriedCalls(mlflow.MlflowClient(uri, uri))

    @contextmanager
    def _faults(self, what: str, expected: str = "", next_step: str = "") -> Iterator[None]:
        """Turn MLflow's exceptions into ours; what is absent, if `what` names it, is UsageError."""
        import requests
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except MlflowException as error:
            if what and error.error_code in ABSENT:
                raise UsageError(what, expected=expected, next_step=next_step) from error
            raise self._failed(error) from error
        except (requests.RequestException, SQLAlchemyError) as error:
            raise self._failed(error) from error
        except OSError as error:
            raise disk_full(error) or OutsideError(
                "files of the registry",
                found=str(error),
                next_step="check that the artifact store can be reached, then run the same "
                "command again",
            ) from error
        except _boto_errors() as error:
            raise OutsideError(
                "artifact store of the registry",
                expected="an answer",
                found=" ".join(str(error).split())[:300],
                next_step="correct its address (MLFLOW_S3_ENDPOINT_URL) or credentials (AWS_…), "
                "then run the same command again",
            ) from error

    def _failed(self, error: Exception) -> OutsideError:
        cause = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return OutsideError(
            f"MLflow at {self.place}",
            expected="an answer",
            found=re.sub(r"//[^/@\s]*@", "//", cause),
            next_step="check that the server is up and MLFLOW_TRACKING_URI is right, then run the "
            "same command again",
        )


def _bound_password() -> None:
    """Have MLflow's client send its password to the server that is asked, and to no other host.

    Who registers a version or makes an experiment says where its files are, and MLflow sends user
    and password to whatever host that names.
    """
    from mlflow.store.artifact import artifact_repository_registry
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

    known: Any = artifact_repository_registry._artifact_repository_registry  # what plugins extend
    for scheme in ("http", "https"):
        known.register(scheme, partial(_of_own_host, HttpArtifactRepository))
    known.register("mlflow-artifacts", partial(_of_own_host, MlflowArtifactsRepository))


def _of_own_host(repository: Any, place: str, **settings: Any) -> Any:
    import mlflow

    own = _host(mlflow.get_tracking_uri())
    allowed = {own, *os.environ.get("RELEASE_ARTIFACT_HOSTS", "").lower().split()} - {""}
    host = _host(place)
    unnamed = not host and place.startswith("mlflow-artifacts:")  # which is the server's own
    if not (unnamed or host in allowed):
        raise RefusedError(
            "files in MLflow",
            expected="them to lie with the MLflow server, or in a bucket",
            found=f"{host!r} as their host, which would get MLflow's password",
            next_step="register the version again from a run of this server; or, where it keeps "
            "its files with another one, name that in RELEASE_ARTIFACT_HOSTS",
        )
    return repository(place, **settings)


def _host(uri: str) -> str:
    return urlsplit(uri).netloc.rpartition("@")[2].lower()


def _boto_errors() -> tuple[type[Exception], ...]:
    """What an S3 store's client raises; imported only after an error, because that takes long."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return (Boto3Error, BotoCoreError, ClientError)
