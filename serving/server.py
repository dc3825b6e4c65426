"""Serve an ASGI app on listening sockets, and stop without losing a request."""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import time
from collections.abc import Generator, Sequence
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.settings import Settings

_logger = logging.getLogger(__name__)
TICK_SECONDS = 0.05
HEAD_BYTES = 2**16
FRAMING = 8
"""Bytes of chunk headers that each byte of a body may bring: a client that sends byte by byte."""
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
NOTHING = b"connection: close\r\ncontent-length: 0\r\n\r\n"


class Parser(httptools.HttpRequestParser):
    """httptools' parser, for a server that offers no upgrade: it never follows one.

    After headers that wish for an upgrade httptools stops, and takes the request's body for what
    the other protocol says. Here it begins anew, with the same headers without the wish.
    """

    def __init__(self, protocol: "Protocol") -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        """Parse the next bytes of a connection.

        Raises:
            httptools.HttpParserError: they are not HTTP, or CONNECT, behind which there is none.
        """
        while True:
            try:
                return super().feed_data(data)
            except httptools.HttpParserUpgrade as stopped:
                if self.get_method() == b"CONNECT":
                    raise httptools.HttpParserError("CONNECT is not offered") from stopped
                head = self._protocol.head_without_upgrade()
                data = memoryview(data)[stopped.args[0] :]
                self.__init__(self._protocol)  # type: ignore[misc]  # httptools' way to reset it
                super().feed_data(head)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on the size of headers and the time to send them.

    Whatever is no body counts: address, headers, trailers, and what chunks bring besides. A wish
    for another protocol is ignored (RFC 9110, 7.8).
    """

    header_seconds = 10.0
    _head_bytes = 0
    _body_bytes = 0
    _header_timer: asyncio.TimerHandle | None = None
    _in_headers = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parser = Parser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Stop the clock when the headers are complete, start it while they are not."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_BYTES + FRAMING * self._body_bytes:
            self._too_much()
        if self._in_headers:
            if self._header_timer is None:
                self._start_timer()
        elif self._header_timer is not None:
            self._stop_timer()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_headers = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its headers are here; those with a wish for an upgrade come again without it."""
        if not self.parser.should_upgrade():
            self._in_headers = False
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A body does not count here: `read_body` bounds it."""
        self._head_bytes -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count the next request from zero."""
        if not self.parser.should_upgrade():
            self._head_bytes = self._body_bytes = 0
            super().on_message_complete()

    def head_without_upgrade(self) -> bytes:
        """The request line and headers that were just parsed, less those named Upgrade."""
        line = (
            self.parser.get_method(),
            self.url,
            b"HTTP/" + self.parser.get_http_version().encode(),
        )
        headers = (b"%b: %b" % each for each in self.headers if each[0] != b"upgrade")
        return b"\r\n".join((b" ".join(line), *headers, b"", b""))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; what came whole before it is answered first, nothing after it."""
        under_way = self.cycle is not None and not self.cycle.response_complete
        if self.pipeline or (under_way and not self.cycle.more_body):
            self.cycle.keep_alive = False
        else:
            super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock with its connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._header_timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _too_slow(self) -> None:
        # while an answer is under way, what comes late is the next request of the same connection
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _too_much(self) -> None:
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(TOO_LARGE + NOTHING)
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, started and stopped by an event instead of by signals.

    While it runs the process ends, wherever it is, `hang_seconds` after the last turn of its event
    loop: a thread that needs no lock of the interpreter sees to it.
    """

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event, settings: Settings) -> None:
        super().__init__(config)
        self._stop = stop
        self._settings = settings

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the process that runs the event loop."""
        yield

    async def main_loop(self) -> None:
        """Keep the Date header fresh until the stop, then until no new connection is accepted."""
        await self._tick_until(lambda: self._stop.is_set(), event=self._stop)
        until = time.monotonic() + self._settings.drain_listen_seconds
        await self._tick_until(lambda: time.monotonic() >= until)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening; answer what is in flight or still arrives; then close what is idle."""
        await asyncio.sleep(0)  # accept what the kernel has queued
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        idle_until = time.monotonic() + self._settings.drain_idle_seconds
        await self._tick_until(
            lambda: not self.server_state.connections or time.monotonic() >= idle_until
        )
        for connection in list(self.server_state.connections):
            connection.shutdown()
        give_up = time.monotonic() + self._settings.request_seconds
        await self._tick_until(
            lambda: not self.server_state.connections or time.monotonic() >= give_up
        )

    async def _tick_until(self, done: Any, event: asyncio.Event | None = None) -> None:
        """Refresh the default headers (Date) at least once a second until `done()`."""
        await self._tick()
        refreshed = time.monotonic()
        while not done():
            if event is None:
                await asyncio.sleep(TICK_SECONDS)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), timeout=1.0)
            if time.monotonic() - refreshed >= 1.0:
                await self._tick()
                refreshed = time.monotonic()

    async def _tick(self) -> None:
        await self.on_tick(0)
        faulthandler.dump_traceback_later(self._settings.hang_seconds, exit=True)
        if is_hung(self.config.app, self._settings) and not self._stop.is_set():
            faulthandler.dump_traceback()  # where it hangs
            _logger.error("no prediction ends any more: the server ends, to be started anew")
            os.kill(os.getpid(), signal.SIGTERM)


def is_hung(app: Any, settings: Settings) -> bool:
    """Whether each prediction that runs is late by `hang_seconds`, and no thread is left."""
    late: float = app.stuck_seconds() - settings.request_seconds
    return late > settings.hang_seconds


async def serve(
    app: Any, sockets: Sequence[socket.socket], *, stop: asyncio.Event, settings: Settings
) -> None:
    """Serve `app` on `sockets` until `stop` is set and every request is answered.

    Call it in a running event loop, more than once for the same app if it should answer on several
    sockets that come and go at different times:

        app = create_app(context, settings)
        probe = asyncio.create_task(serve(app, [probe_socket], stop=stop, settings=settings))
        ...  # later, when the public socket is handed over
        public = asyncio.create_task(serve(app, [public_socket], stop=stop, settings=settings))
        ...  # on SIGTERM: readiness goes false, both servers drain, both calls return
        app.begin_drain()
        stop.set()

    It installs no signal handler, and sends SIGTERM to its own process when the app hangs. The
    process ends when its event loop stands still, also after this call: leave by `os._exit`.

    The sockets must be bound; they are closed at the end (the copy of another process stays open
    and keeps what waits in the kernel's queue). After `stop` is set

    1. for `drain_listen_seconds` new connections are still accepted, then the listening sockets
       are closed;
    2. what is in flight and what arrives on open connections is answered;
    3. connections that stay idle for `drain_idle_seconds` are closed, and the call returns when
       no connection is left (at the latest `request_seconds` after that).

    Args:
        app: an ASGI app that tells its `stuck_seconds()`.
        sockets: bound TCP sockets, listening or not yet.
        stop: the event that begins the drain.
        settings: see `serving.settings`.
    """
    protocol = type("Protocol", (Protocol,), {"header_seconds": settings.header_seconds})
    config = uvicorn.Config(
        app,
        http=protocol,
        loop="none",
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]  # any number
        backlog=2048,
    )
    await Server(config, stop, settings).serve(sockets=list(sockets))
