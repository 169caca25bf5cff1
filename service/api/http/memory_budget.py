"""How many bytes the process holds for a purpose, of all requests together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.api.http.problems import ApiError, retry_after
from service.schemas.documents import ErrorCode

Reserve = Callable[[int], None]


class MemoryBudget:
    """Counts the bytes held of bodies, or of answers: so many, and no more.

    most: bytes. refusal: what is told whoever would hold more. Called from the event loop only.
    """

    def __init__(self, most: int, refusal: str) -> None:
        self._most = most
        self._refusal = refusal
        self.held = 0

    @contextmanager
    def reserve(self) -> Iterator[Reserve]:
        """Give what is told of bytes before they are kept; lets go of all of them in the end.

        It raises ApiError busy where there is no room. What is larger than all there may be is
        held where nothing else is.
        """
        mine = 0

        def hold(count: int) -> None:
            nonlocal mine
            if self.held + count > self._most and self.held > mine:
                raise ApiError(ErrorCode.BUSY, self._refusal, headers=retry_after())
            mine += count
            self.held += count

        try:
            yield hold
        finally:
            self.held -= mine
