"""Calls that may never return: whoever makes one waits until its deadline and no longer.

A file system that hangs cannot be told to stop, so each call runs in a thread that can be left
behind. There are only so many of them: while all hang, no further call is begun.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from service.infra.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class StoreDeadlines:
    """How long a call of the store may take."""

    connect_s: float = 2.0
    read_s: float = 10.0  # silence within an answer
    total_s: float = 20.0  # of all tries together; of large content more: see Store
    tries: int = 2

    @classmethod
    def of_api(cls, settings: Settings) -> Self:
        """Somebody waits for the answer."""
        return cls(settings.store_connect_s, settings.store_read_s, settings.store_total_s)

    @classmethod
    def of_worker(cls, settings: Settings) -> Self:
        """Longer: what was computed would be lost."""
        total_s = 3 * settings.store_total_s
        return cls(settings.store_connect_s, settings.store_read_s, total_s, tries=4)


class DeadlineThreads:
    """At most so many threads, started when they are needed; they end with the process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._slots = threading.BoundedSemaphore(most)
        self._idle = threading.Semaphore(0)
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def run(self, action: Callable[[], T], *, within_s: float) -> T:
        """Call it in a thread. Raises what it raises, and TimeoutError at the deadline."""
        until = time.monotonic() + within_s
        if not self._slots.acquire(timeout=max(within_s, 0)):
            raise TimeoutError(f"{self._most} calls are still waiting for an answer")
        called: Future[T] = Future()
        self._calls.put((called, action))
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._serve, name="store", daemon=True).start()
        try:
            return called.result(timeout=max(until - time.monotonic(), 0))
        except TimeoutError:
            if called.done():  # its own
                raise
            raise TimeoutError(f"there was no answer within {within_s:.3g} s") from None

    def _serve(self) -> None:
        while True:
            called, action = self._calls.get()
            try:
                called.set_result(action())
            except BaseException as error:
                called.set_exception(error)
            del called, action  # what it holds may be large
            self._idle.release()  # before the slot: who takes that finds this thread
            self._slots.release()
