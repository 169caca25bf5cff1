"""Runs work on the event loop if its data is small, else in a thread."""

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

MAX_INLINE_BYTES = 64 * 1024  # bytes of JSON that are parsed or written in about a millisecond

T = TypeVar("T")


async def run(work: Callable[[], T], size: int) -> T:
    """Returns the result of work; size: about how many bytes it reads or writes."""
    return work() if size <= MAX_INLINE_BYTES else await to_thread.run_sync(work)
