"""uvicorn's HTTP/1.1 connection with timeouts, and problems for requests that h11 rejects.

uvicorn alone has no timeout for the head of a request, for the rest of a body after the response,
or for a client that does not read its response. It answers unparsable requests in plain text.
"""

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.api.http.header_limits import headers_too_large, uri_too_long
from service.api.http.problems import ApiError, problem_response
from service.api.http.transfer_allowance import TransferAllowance
from service.infra.settings.api import ApiSettings
from service.schemas.documents import ErrorCode

CLOSE = (b"connection", b"close")
# Limit of the kernel's unsent bytes for a connection (TCP_NOTSENT_LOWAT)
MAX_UNSENT_BYTES = 128 * 1024
MIN_CHECK_S = 0.1  # least seconds between two checks of what a slow client has read
NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing discards unsent bytes

Awaited = Literal["head", "rest"] | None

log = structlog.get_logger(__name__)


def connections(settings: ApiSettings) -> Callable[..., asyncio.Protocol]:
    """Returns the protocol factory for uvicorn."""
    return partial(Connection, settings=settings)


class Connection(H11Protocol):
    """Limits the time for a request head, and for the rest of a body after the response.

    While bytes are unread by the client, its reading allowance is spent; bytes read earn it back.
    Nothing more is sent meanwhile, so at most one piece is buffered here.
    """

    def __init__(self, *args: Any, settings: ApiSettings, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timeout_s = settings.head_timeout_s
        self._awaited: Awaited = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False
        self._reading = TransferAllowance(settings.answer_patience_s, settings.min_answer_rate)
        self._unread = 0  # bytes in the transport's buffer, not yet accepted by the kernel
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # pauses writing at the first buffered byte
        self._option(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._refused:  # discard: closing with unread data would lose the response
            return
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop()
        self._stop_watching()

    def pause_writing(self) -> None:
        """Starts spending the reading allowance: the client must read before more is sent."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._reading.wait()
        self._watch()

    def resume_writing(self) -> None:
        """Credits the bytes sent and stops the checks: the transport's buffer is empty."""
        self._reading.moved(self._unread)
        self._stop_watching()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answers a request that h11 rejects; uvicorn calls this while handling h11's error."""
        error = sys.exception()
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            received, _ = self.conn.trailing_data
            too_large = headers_too_large if b"\n" in received else uri_too_long
            self._refuse(too_large(len(received)))
        else:
            detail = f"not a valid HTTP/1.1 request: {error or msg}"
            self._refuse(ApiError(ErrorCode.BAD_REQUEST, detail))

    def _wait(self) -> None:
        """Starts or stops the timeout when the awaited part of the request changes."""
        state = self.conn.their_state
        awaited: Awaited = None
        if self._refused:
            awaited = "rest"
        elif state is h11.IDLE:
            awaited = "head"
        elif state is h11.SEND_BODY and self.cycle.response_complete:
            awaited = "rest"
        if awaited != self._awaited:
            self._stop()
            self._awaited = awaited
            if awaited:
                self._timer = self.loop.call_later(self._timeout_s, self._on_timeout)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._awaited = None

    def _watch(self) -> None:
        pause_s = max(self._reading.left_s, MIN_CHECK_S)
        self._unread_timer = self.loop.call_later(pause_s, self._check_reading)

    def _stop_watching(self) -> None:
        if self._unread_timer:
            self._unread_timer.cancel()
        self._unread_timer = None

    def _check_reading(self) -> None:
        """Credits the bytes read since the last check; aborts if the allowance is spent."""
        left = self.transport.get_write_buffer_size()
        self._reading.moved(self._unread - left)
        self._unread = left
        if self._reading.left_s > 0:
            self._watch()
            return
        log.warning("client stopped reading its response", bytes_left=left)
        self._option(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def _option(self, level: int, name: int, value: int | bytes) -> None:
        """Sets a socket option; ignores the error of a closed connection."""
        with suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(level, name, value)

    def _on_timeout(self) -> None:
        """Answers 408 if part of a head has arrived, else closes the connection."""
        begun = self._awaited == "head" and self.conn.trailing_data[0]
        self._stop()
        if begun:
            detail = f"the request line and headers took longer than {self._timeout_s:g} s"
            self._refuse(ApiError(ErrorCode.REQUEST_TIMEOUT, detail, "headers"))
        else:
            self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Answers with a problem; closes once the client has read it or the timeout has passed."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # a response has started
            self.transport.close()
            return
        problem = problem_response(error)
        answer = h11.Response(
            status_code=problem.status_code, headers=[*problem.raw_headers, CLOSE]
        )
        for event in (answer, h11.Data(data=bytes(problem.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()
        if self.cycle:  # wakes the application if it still reads the body
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._refused = True
        self._wait()


def _not_http(reason: object) -> ApiError:
    return ApiError(ErrorCode.BAD_REQUEST, f"this is no HTTP/1.1 request: {reason}")
