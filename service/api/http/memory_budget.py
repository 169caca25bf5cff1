"""A limit on the bytes that all requests of the process hold for one purpose."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.api.http.problems import ApiError, retry_after
from service.schemas.documents import ErrorCode

Reserve = Callable[[int], None]


class MemoryBudget:
    """Limits the bytes held by all uploads, or by all large responses.

    refusal: the detail of the error when max_bytes are used up. For the event loop only.
    """

    def __init__(self, max_bytes: int, refusal: str) -> None:
        self._max_bytes = max_bytes
        self._refusal = refusal
        self.held = 0

    @contextmanager
    def reserve(self) -> Iterator[Reserve]:
        """Yields a function that reserves bytes before they are kept; frees all of them on exit.

        The function raises ApiError busy when the budget is used up. More than the whole budget is
        granted while no other request holds bytes.
        """
        mine = 0

        def hold(count: int) -> None:
            nonlocal mine
            if self.held + count > self._max_bytes and self.held > mine:
                raise ApiError(ErrorCode.BUSY, self._refusal, headers=retry_after())
            mine += count
            self.held += count

        try:
            yield hold
        finally:
            self.held -= mine
