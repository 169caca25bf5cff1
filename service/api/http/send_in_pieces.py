"""Answers as they leave: in pieces, so that nobody's reading decides how much we hold."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.memory_budget import Hold, Holding
from service.api.http.problems import ApiError, problem_response

PIECE = 256 * 1024  # bytes given to a connection at once; it takes the next when these are sent


class InPieces:
    """Sends what is large piece by piece, and refuses it where too much is being sent already.

    What comes whole is held whole while it is sent, so it counts where it is larger than a piece.
    Of what comes in parts, whoever makes them counts what it holds.
    """

    def __init__(self, app: ASGIApp, answers: Holding) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._answers.holding() as hold:
            await self._app(scope, receive, _Sending(scope, receive, send, hold))


class _Sending:
    """What an answer is sent by."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, hold: Hold) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._hold = hold
        self._refused = False
        self._start: Message | None = None  # of what may be large, until its first part comes

    async def __call__(self, message: Message) -> None:
        if self._refused:
            return
        if message["type"] == "http.response.start" and _length(message) > PIECE:
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start:
            start, self._start = self._start, None
            try:
                self._hold(0 if more else len(body))
            except ApiError as error:
                self._refused = True
                await problem_response(error)(self._scope, self._receive, self._send)
                return
            await self._send(start)
        if len(body) > PIECE:
            await self._split(memoryview(body), more=more)
        else:
            await self._send(message)

    async def _split(self, body: memoryview, *, more: bool) -> None:
        for start in range(0, len(body), PIECE):
            piece = bytes(body[start : start + PIECE])
            more_body = more or start + PIECE < len(body)
            await self._send({"type": "http.response.body", "body": piece, "more_body": more_body})


def _length(start: Message) -> int:
    return int(Headers(scope=start).get("content-length", "0"))
