"""Sends responses in pieces, so that a slow reader does not decide how much memory is held."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.memory_budget import MemoryBudget, Reserve
from service.api.http.problems import ApiError, problem_response

# bytes written to a connection at once; the next piece follows when these are sent
PIECE_BYTES = 256 * 1024


class SendInPieces:
    """Splits large bodies, and refuses them when the budget for responses is used up.

    A whole body larger than a piece stays in memory while it is sent, so its size is reserved. The
    producer of a streamed body reserves its own memory.
    """

    def __init__(self, app: ASGIApp, budget: MemoryBudget) -> None:
        self._app = app
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._budget.reserve() as reserve:
            await self._app(scope, receive, _Sending(scope, receive, send, reserve))


class _Sending:
    """The `send` of one response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, reserve: Reserve) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._reserve = reserve
        self._refused = False
        self._start: Message | None = None  # of a large response, until its first part

    async def __call__(self, message: Message) -> None:
        if self._refused:
            return
        if message["type"] == "http.response.start":
            length = int(Headers(scope=message).get("content-length", "0"))
            if length > PIECE_BYTES:
                self._start = message
                return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start:
            start, self._start = self._start, None
            try:
                self._reserve(0 if more else len(body))
            except ApiError as error:
                self._refused = True
                await problem_response(error)(self._scope, self._receive, self._send)
                return
            await self._send(start)
        if len(body) <= PIECE_BYTES:
            await self._send(message)
            return
        for at in range(0, len(body), PIECE_BYTES):
            piece = bytes(memoryview(body)[at : at + PIECE_BYTES])
            more_body = more or at + PIECE_BYTES < len(body)
            await self._send({"type": "http.response.body", "body": piece, "more_body": more_body})
