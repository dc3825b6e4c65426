"""HTTP to servers of models: whatever they answer, it takes bounded time and memory."""

import time
from typing import Any

import requests

MAX_BYTES = 32 * 2**20
MAX_VALUES = 2**21
"""Of an answer as JSON: two bytes may become a list of a hundred."""

CHUNK_BYTES = 2**16


class BoundedSession(requests.Session):
    """A session that gives an answer's body as long as its `timeout`, and bounds what it holds.

    An answer beyond that raises `requests.RequestException`, as one that is cut off does.
    """

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send as inherited; then read all of the answer, within the bounds."""
        response = super().send(request, **{**kwargs, "stream": True})
        timeout = kwargs.get("timeout")
        seconds = timeout if isinstance(timeout, int | float) else float("inf")
        try:
            response._content = _read(response, time.monotonic() + seconds)
        except BaseException:
            response.close()
            raise
        return response


def _read(response: requests.Response, deadline: float) -> bytes:
    from urllib3.exceptions import HTTPError

    body = bytearray()
    try:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_BYTES:
                raise requests.RequestException(f"an answer of more than {MAX_BYTES:,} bytes")
            if time.monotonic() > deadline:
                raise requests.Timeout("an answer that does not end in time")
    except (HTTPError, OSError) as error:
        if isinstance(error, requests.RequestException):
            raise
        raise requests.ConnectionError(error) from error
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES:
        raise requests.RequestException(f"an answer of more than {MAX_VALUES:,} values")
    response.raw.release_conn()
    return bytes(body)
