"""What a model's process may send instead of a frame is told apart from one."""

import io
import json

import pytest

from model_release.model_process.frames import PREFIX_BYTES, FrameError, read

DEEP = "[" * 100_000 + "]" * 100_000


def frame(header: str, body: bytes = b"") -> io.BytesIO:
    text = header.encode()
    return io.BytesIO(len(text).to_bytes(PREFIX_BYTES, "big") + text + body)


def described(**array: object) -> str:
    return json.dumps({"arrays": [array]})


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (frame("{}"), "bytes that are no header"),
        (frame("[]"), "bytes that are no header"),
        (frame(DEEP), "bytes that are no header"),
        (frame('{"arrays": [{"bytes": Infinity}]}'), "bytes that are no header"),
        (frame(described(bytes=-1, dtype="json", shape=[1])), "bytes that are no header"),
        (frame(described(bytes=8, dtype="<f8", shape=[2]), b"12345678"), "does not fit"),
        (frame(described(bytes=8, dtype="O", shape=[1]), b"12345678"), "does not fit"),
        (frame(described(bytes=len(DEEP), dtype="json", shape=[1]), DEEP.encode()), "does not fit"),
    ],
    ids=["nothing", "list", "deep", "endless", "negative", "short", "object", "deep array"],
)
def test_what_is_no_frame_is_refused(source: io.BytesIO, told: str) -> None:
    with pytest.raises(FrameError, match=told):
        read(source.read)
