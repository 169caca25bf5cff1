"""Responses produced while they are sent: in threads, piece by piece, as the client reads."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from anyio import to_thread
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.http.memory_budget import MemoryBudget
from service.api.http.send_in_pieces import PIECE_BYTES

Pieces = Iterator[bytes]
Content = tuple[int | None, Pieces]  # the length, if known, and the pieces
Open = Callable[[], Content]


class Stream(StreamingResponse):
    """Opens the content when the response starts, and reserves `held` bytes until it is sent.

    `open_` and every piece may block, and raise ApiError or StoreError. An error before the first
    piece is answered with a problem; a later one closes the connection.
    """

    def __init__(
        self,
        open_: Open,
        *,
        held: int,
        answers: MemoryBudget,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__((), headers=headers, media_type=media_type)
        self._open = open_
        self._held = held
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._answers.reserve() as reserve:
            reserve(self._held)
            length, pieces = await to_thread.run_sync(self._opened)
            if length is not None:
                self.headers["Content-Length"] = str(length)
            self.body_iterator = iterate_in_threadpool(pieces)
            await super().__call__(scope, receive, send)

    def _opened(self) -> Content:
        length, pieces = self._open()
        pieces = in_pieces(pieces)
        first = next(pieces, b"")
        return length, chain([first], pieces)


def in_pieces(parts: Iterator[bytes]) -> Pieces:
    """Joins parts into pieces of PIECE_BYTES or more, as each piece costs a call in a thread."""
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)
