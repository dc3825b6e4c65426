"""The pipeline's side of a model's process: start it, ask it, never trust it or wait too long."""

import fcntl
import os
import secrets
import selectors
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Self

from model_release.errors import ReleaseError
from model_release.model_process.frames import NOTHING, Array, Asked, Frame, FrameError, pack, read
from model_release.processes import sandbox
from model_release.processes.accounting import TreeMemory
from model_release.processes.confinement import Policy
from model_release.processes.environments import without_secrets
from model_release.processes.removal import remove

TICK_SECONDS = 0.2
READ_BYTES = 2**20
PIPE_BYTES = 2**20
KEPT_PRINT_BYTES = 16 * 2**10
PRINTED_LINES = 3
SEND_SECONDS = 60.0


class ModelError(ReleaseError):
    """The model raised, died, hung or answered nonsense; the gate that asked has the next step."""

    def __init__(self, what: str, *, expected: str = "", found: str = "") -> None:
        super().__init__(what, expected=expected, found=found, next_step="")


class ModelProcess:
    """A model in a process of its own, with its own environment, folder and process group.

    A command is sent with `send` and its answer fetched with `receive`, so that the caller can do
    something else meanwhile. When it dies, hangs or answers nonsense it is ended, and every later
    call is refused. The kernel ends it when the thread that started it ends.

    Args:
        python: the interpreter of the model's environment.
        what: the name used in errors, such as "iris-classifier 3".
        folder: where its private temporary folder is made; gone after `close`.
        reads: the model's files: beside its environment nothing else can be read.
    """

    def __init__(self, python: Path, what: str, folder: Path, reads: Sequence[Path] = ()) -> None:
        self.what = what
        folder.mkdir(parents=True, exist_ok=True)
        self._home = Path(tempfile.mkdtemp(prefix="model-", dir=folder))
        self._incoming = bytearray()
        self._printed = b""
        program = Path(__file__).parent
        policy = Policy(
            own=str(self._home),
            reads=[*sandbox.interpreter_reads(python), *map(str, (program, *reads))],
            mounted=True,
        )
        self._process = subprocess.Popen(
            sandbox.command(policy, [str(python), "-I", "-B", str(program)]),
            cwd=self._home,
            env=without_secrets(self._home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._memory = TreeMemory(self._process.pid)
        self._id, self._sent, self._arrived, self._sampled = "", 0.0, 0.0, 0.0
        self._requests, self._replies, self._prints = self._pipes()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._replies, selectors.EVENT_READ)
        self._selector.register(self._prints, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """Whether the process is gone, so that nothing can be asked any more."""
        return self._process.returncode is not None

    def close(self) -> None:
        """End the process and all that it started, and remove its folder. Safe to call twice."""
        self._process.terminate()  # the sandbox's, which ends the model's and all that it left
        self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        remove(self._home)

    @property
    def seconds(self) -> float:
        """How long the last exchange took: from the command's first byte to the answer's last.

        By this side's clock: that of the process belongs to the model.
        """
        return self._arrived - self._sent

    def send(
        self, command: str, header: Mapping[str, Any] = {}, arrays: Sequence[Array] = ()
    ) -> None:
        """Send a command; returns when the process has read all of it.

        Raises:
            ModelError: the process is gone, or takes nothing in for `SEND_SECONDS`.
            TypeError: `arrays` hold something that cannot be sent.
        """
        self._refuse_if_ended()
        self._id = secrets.token_hex(8)  # so that no answer can be written before it is asked for
        pieces = pack({"command": command, "id": self._id, **header}, arrays)
        deadline = time.monotonic() + SEND_SECONDS
        self._sent = time.perf_counter()
        try:
            for piece in pieces:
                sent = 0
                while sent < len(piece):
                    try:
                        sent += os.write(self._requests, piece[sent:])
                    except BlockingIOError:
                        self._wait_to_write(deadline)
        except BrokenPipeError:
            self._fail(f"{self.what} died")

    def receive(self, seconds: float, asked: Asked = NOTHING) -> Frame:
        """The answer to the command sent last, at most `seconds` from now.

        Args:
            seconds: how long to wait.
            asked: the arrays that it must hold.

        Raises:
            ModelError: there is none in time, it is no answer, or it says that the model raised.
        """
        self._refuse_if_ended()
        deadline = time.monotonic() + seconds

        def source(length: int) -> bytearray:
            while len(self._incoming) < length:
                self._wait(deadline)
            body, self._incoming = self._incoming, self._incoming[length:]
            del body[length:]
            return body

        try:
            frame = read(source, asked)
        except FrameError as error:
            self._fail(f"{self.what} answered nonsense: {error}")
        if frame.header.get("id") != self._id:
            self._fail(f"{self.what} answered what it was not asked")
        if "error" in frame.header:
            raise ModelError(f"{self.what} raised {str(frame.header['error'])[:1000]}")
        return frame

    def _pipes(self) -> tuple[int, int, int]:
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        numbers = [pipe.fileno() for pipe in pipes if pipe is not None]
        for number in numbers:
            os.set_blocking(number, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # more than this user may have; the usual 64 KiB will do
                fcntl.fcntl(numbers[0], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return numbers[0], numbers[1], numbers[2]

    def peak_memory(self) -> int:
        """The most resident bytes that it and what it started were seen to hold; 0 once ended."""
        return self._memory.sample()

    def _wait_to_write(self, deadline: float) -> None:
        self._selector.register(self._requests, selectors.EVENT_WRITE)
        try:
            while self._requests not in self._wait(deadline):
                pass
        finally:
            if not self.ended:
                self._selector.unregister(self._requests)

    def _wait(self, deadline: float) -> set[int]:
        """Wait a moment, take in what the process wrote, and tell which pipes were ready."""
        ready = {key.fd for key, _ in self._selector.select(TICK_SECONDS)}
        if self._replies not in ready and time.monotonic() - self._sampled >= TICK_SECONDS:
            self._memory.sample()
            self._sampled = time.monotonic()
        dead = not ready and self._process.poll() is not None
        if self._prints in ready:
            printed = self._read(self._prints)
            self._printed = (self._printed + printed)[-KEPT_PRINT_BYTES:]
        if self._replies in ready:
            replied = self._read(self._replies)
            self._arrived = time.perf_counter()
            dead = dead or not replied
            self._incoming += replied
        if dead:
            self._fail(f"{self.what} died")
        if time.monotonic() > deadline:
            self._fail(f"{self.what} did not answer in time and was ended")
        return ready

    def _read(self, pipe: int) -> bytes:
        data = os.read(pipe, READ_BYTES)
        if not data:
            self._selector.unregister(pipe)
        return data

    def _fail(self, what: str) -> NoReturn:
        """End the process and say why."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(TICK_SECONDS)
        status = self._process.returncode
        self.close()
        lines = self._printed.decode("utf-8", "replace").strip().splitlines()
        printed = " | ".join(line.strip() for line in lines[-PRINTED_LINES:])[-1000:]
        ending = "" if status is None else f"exit status {status}"
        found = ", ".join(filter(None, [ending, printed and f"last printed: {printed}"]))
        raise ModelError(what, found=found)

    def _refuse_if_ended(self) -> None:
        if self.ended:
            raise ModelError(f"{self.what} was ended")
