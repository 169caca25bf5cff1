"""Work that is a matter of bytes: short on the event loop, long in a thread, where others go on."""

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

MAX_INLINE_BYTES = 64 * 1024  # bytes of JSON that are read or written, in about a millisecond

T = TypeVar("T")


async def run(work: Callable[[], T], size: int) -> T:
    """What the work gives; size: about how many bytes it reads or writes."""
    return work() if size <= MAX_INLINE_BYTES else await to_thread.run_sync(work)
