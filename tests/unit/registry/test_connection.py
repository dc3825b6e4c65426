"""Errors of what MLflow stands on become one line of ours."""

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from model_release.errors import OutsideError
from model_release.registry.connection import Connection

DENIED = {"Error": {"Code": "AccessDenied", "Message": "Access\nDenied"}}


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (NoCredentialsError(), "Unable to locate credentials"),
        (EndpointConnectionError(endpoint_url="http://s3"), "Could not connect to the endpoint"),
        (ClientError(DENIED, "GetObject"), "(AccessDenied) when calling the GetObject operation"),
        (S3UploadFailedError("Failed to upload a to b"), "Failed to upload a to b"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_faults_of_an_artifact_store(error: Exception, found: str) -> None:
    connection = Connection("http://127.0.0.1:9")
    with pytest.raises(OutsideError) as caught, connection._faults("files of iris 1"):
        raise error
    told = str(caught.value)
    assert told.startswith("artifact store of the registry; expected an answer; found ")
    assert found in told
    assert "credentials (AWS_" in caught.value.next_step
    assert "\n" not in told
