"""Calls that load whole pictures or arrays: run in threads, under a common memory budget."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Condition
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from service.api.http.problems import ApiError, retry_after
from service.schemas.documents import ErrorCode

MAX_CONCURRENT_CALLS = 8  # more would only share the cores
MAX_WAIT_S = 20  # for a thread, and again for memory

T = TypeVar("T")


class HeavyCalls:
    """Gives calls a thread and a reservation of memory, first come, first served.

    max_bytes: reserved at once. A call that needs more than that runs when no other holds any. A
    call that waits longer than MAX_WAIT_S fails with ApiError busy.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0
        self._line: deque[object] = deque()
        self._changed = Condition()
        self._turns = CapacityLimiter(MAX_CONCURRENT_CALLS)
        self._threads = CapacityLimiter(math.inf)

    async def run(self, work: Callable[[], T], *, held: int = 0) -> T:
        """Runs work in a thread with `held` bytes reserved; with 0 it may call `reserve` itself.

        Raises ApiError.
        """

        def work_within_budget() -> T:
            with self.reserve(held) if held else nullcontext():
                return work()

        turn = object()
        try:
            with anyio.fail_after(MAX_WAIT_S):
                await self._turns.acquire_on_behalf_of(turn)
        except TimeoutError:
            raise _busy() from None
        try:
            return await to_thread.run_sync(work_within_budget, limiter=self._threads)
        finally:
            self._turns.release_on_behalf_of(turn)

    @contextmanager
    def reserve(self, count: int) -> Iterator[None]:
        """Reserves bytes, at most once at a time in a call. Blocking. Raises ApiError."""
        count, place = min(count, self._max_bytes), object()
        with self._changed:
            self._line.append(place)
            found = self._changed.wait_for(
                lambda: self._line[0] is place and self._held + count <= self._max_bytes, MAX_WAIT_S
            )
            self._line.remove(place)
            self._held += count if found else 0
            self._changed.notify_all()
        if not found:
            raise _busy()
        try:
            yield
        finally:
            with self._changed:
                self._held -= count
                self._changed.notify_all()


def _busy() -> ApiError:
    detail = "too many large pictures are being decoded or drawn; try again soon"
    return ApiError(ErrorCode.BUSY, detail, headers=retry_after())
