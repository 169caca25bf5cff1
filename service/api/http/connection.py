"""uvicorn's connection, for clients that are slow or do not speak HTTP.

uvicorn waits without end for a head, reads without end what follows a request that was answered,
waits without end for a client to read its answer, and refuses in plain text what it cannot parse.
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
from service.infra.settings import Settings
from service.schemas.documents import ErrorCode

CLOSE = (b"connection", b"close")
# bytes that the system keeps for a client beyond what it has room for
MAX_UNSENT_BYTES = 128 * 1024
MIN_LOOK_S = 0.1  # between two looks at how much a slow client has read
NO_LINGER = struct.pack("ii", 1, 0)  # when it closes, the system forgets what it has not sent

Awaited = Literal["head", "rest"] | None

log = structlog.get_logger(__name__)


def connections(settings: Settings) -> Callable[..., asyncio.Protocol]:
    """What makes uvicorn's protocol of a connection."""
    return partial(Connection, settings=settings)


class Connection(H11Protocol):
    """Waits so long for a head, and for the rest of a request that is answered already.

    While there are bytes that its client has not read, its patience with that is spent; what the
    client reads wins it back. Nothing more is sent meanwhile, so at most one piece is kept here.
    """

    def __init__(self, *args: Any, settings: Settings, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience_s = settings.head_timeout_s
        self._awaited: Awaited = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False
        self._reading = TransferAllowance(settings.answer_patience_s, settings.min_answer_rate)
        self._unread = 0  # bytes of ours that the system would not take yet
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # tells us of the first byte that must wait
        self._option(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._refused:  # read and thrown away: with unread data the answer would be lost
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
        """The client has to read before more is sent."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._reading.wait()
        self._watch()

    def resume_writing(self) -> None:
        """All that was written has gone."""
        self._reading.moved(self._unread)
        self._stop_watching()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What h11 cannot parse, and raised for: uvicorn calls this while it handles that error."""
        error = sys.exception()
        too_large = isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431
        self._refuse(self._too_long() if too_large else _not_http(error or msg))

    def _too_long(self) -> ApiError:
        received, _ = self.conn.trailing_data
        return (
            headers_too_large(len(received)) if b"\n" in received else uri_too_long(len(received))
        )

    def _wait(self) -> None:
        """Start a clock where something else is waited for than before."""
        awaited = self._now_awaited()
        if awaited != self._awaited:
            self._stop()
            self._awaited = awaited
            if awaited:
                self._timer = self.loop.call_later(self._patience_s, self._give_up)

    def _now_awaited(self) -> Awaited:
        if self._refused:
            return "rest"
        if self.conn.their_state is h11.IDLE:
            return "head"
        if self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete:
            return "rest"
        return None

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._awaited = None

    def _watch(self) -> None:
        pause_s = max(self._reading.left_s, MIN_LOOK_S)
        self._unread_timer = self.loop.call_later(pause_s, self._look_at_reading)

    def _stop_watching(self) -> None:
        if self._unread_timer:
            self._unread_timer.cancel()
        self._unread_timer = None

    def _look_at_reading(self) -> None:
        """All patience is spent, but for what has been read meanwhile."""
        left = self.transport.get_write_buffer_size()
        self._reading.moved(self._unread - left)
        self._unread = left
        if self._reading.left_s > 0:
            self._watch()
            return
        log.warning("the client does not read its answer", bytes_left=left)
        self._option(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def _option(self, level: int, name: int, value: int | bytes) -> None:
        """Ask the system for it; a connection that broke off takes none."""
        with suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(level, name, value)

    def _give_up(self) -> None:
        begun = self._awaited == "head" and self.conn.trailing_data[0]
        self._stop()
        if begun:
            detail = f"the head of a request may take {self._patience_s:g} s"
            self._refuse(ApiError(ErrorCode.REQUEST_TIMEOUT, detail, "headers"))
        else:
            self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Answer, and close when the client has read it or is out of time."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer is on its way
            self.transport.close()
            return
        problem = problem_response(error)
        answer = h11.Response(
            status_code=problem.status_code, headers=[*problem.raw_headers, CLOSE]
        )
        for event in (answer, h11.Data(data=bytes(problem.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()
        if self.cycle:  # whoever still reads a body that cannot be parsed
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._refused = True
        self._wait()


def _not_http(reason: object) -> ApiError:
    return ApiError(ErrorCode.BAD_REQUEST, f"this is no HTTP/1.1 request: {reason}")
