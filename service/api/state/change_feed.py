"""Waits for explanations to change: one Redis subscription per process wakes all waiters.

PUBLISH may lose notices, so waiters also read again every POLL_S.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager

import redis.asyncio
import structlog
from anyio import move_on_after

from service.api.state.previews import WATCHED_S, watch
from service.jobs.records import State
from service.jobs.redis_keys import CHANGES, as_text

POLL_S = 2.0
MAX_SHARED_READS = 2  # of changed explanations, each shared by all its waiters
RECONNECT_S = 0.5

Read = Callable[[str], Awaitable[State | None]]
log = structlog.get_logger(__name__)


class ChangeFeed:
    """Wakes the waiters of an explanation when it changes."""

    def __init__(self, connection: redis.asyncio.Redis, read: Read) -> None:
        self._redis = connection
        self._read = read
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._reads: dict[str, asyncio.Future[State | None]] = {}
        self._turns = asyncio.Semaphore(MAX_SHARED_READS)
        self._stopped = False

    async def run(self) -> None:
        """Listens until cancelled; reconnects while Redis is away."""
        while True:
            try:
                await self._listen()
            except redis.RedisError as error:
                log.warning("change notices interrupted", reason=type(error).__name__)
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(CHANGES)
            self._wake(*self._waiting)  # they may have missed a notice
            while True:
                message = await subscription.get_message(timeout=POLL_S)
                if message is not None:
                    self._wake(as_text(message["data"]))

    def _wake(self, *explanation_ids: str) -> None:
        for explanation_id in explanation_ids:
            self._reads.pop(explanation_id, None)  # a read in progress may predate the change
            for changed in self._waiting.get(explanation_id, ()):
                changed.set()

    def stop(self) -> None:
        """Ends all waiting, before the process stops."""
        self._stopped = True
        self._wake(*self._waiting)

    async def follow(
        self, explanation_id: str, *, watched: bool = False
    ) -> AsyncGenerator[State | None, None]:
        """Yields the state now and at each change until done; None if gone. Raises RedisError.

        watched: meanwhile its worker makes previews.
        """
        seen, watched_until = None, 0.0
        with self._listening(explanation_id) as changed:
            while not self._stopped:
                changed.clear()
                state = await self._read_shared(explanation_id)
                if state is None or state.version != seen:
                    yield state
                if state is None or state.status.done:
                    return
                seen = state.version
                if watched and time.monotonic() > watched_until:
                    await watch(self._redis, explanation_id)
                    watched_until = time.monotonic() + WATCHED_S / 2
                with move_on_after(POLL_S):
                    await changed.wait()

    async def _read_shared(self, explanation_id: str) -> State | None:
        """Reads the state once for all waiters woken by the same change."""

        async def read() -> State | None:
            async with self._turns:  # few at once, so that other requests need not wait long
                return await self._read(explanation_id)

        def forget(done: asyncio.Future[State | None]) -> None:
            if self._reads.get(explanation_id) is done:
                del self._reads[explanation_id]
            if not done.cancelled():
                done.exception()  # marks it as retrieved: no waiter may be left to receive it

        shared = self._reads.get(explanation_id)
        if shared is None:
            shared = self._reads[explanation_id] = asyncio.ensure_future(read())
            shared.add_done_callback(forget)
        return await asyncio.shield(shared)

    async def until_done(self, explanation_id: str, seconds: float) -> State | None:
        """Returns the state once it is done, or after this many seconds. Raises RedisError."""
        with move_on_after(seconds):
            async with aclosing(self.follow(explanation_id)) as changes:
                async for _state in changes:
                    pass
        return await self._read(explanation_id)

    @contextmanager
    def _listening(self, explanation_id: str) -> Iterator[asyncio.Event]:
        changed = asyncio.Event()
        self._waiting[explanation_id].add(changed)
        try:
            yield changed
        finally:
            self._waiting[explanation_id].discard(changed)
            if not self._waiting[explanation_id]:
                del self._waiting[explanation_id]
