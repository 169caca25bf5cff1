"""A limit on requests for each key name, counted in Redis for all API processes."""

import math
import time
from collections.abc import Mapping
from typing import Self

import redis.asyncio
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from service.api.http.problems import ApiError, retry_after
from service.schemas.documents import ErrorCode

OFF = "off"


class RateLimit:
    """One limit, counted for each name in a sliding window."""

    def __init__(self, item: RateLimitItem, connection: redis.asyncio.Redis) -> None:
        self._item = item
        self._limiter = sliding_window(connection)

    @classmethod
    def of(cls, text: str, connection: redis.asyncio.Redis) -> Self | None:
        """Parses the limit of the settings; None if it is `off`."""
        return None if text == OFF else cls(parse(text), connection)

    async def count(self, name: str) -> Mapping[str, str]:
        """Counts a request; returns the RateLimit headers. Raises ApiError, RedisError."""
        within = await self._limiter.hit(self._item, name)
        window = await self._limiter.get_window_stats(self._item, name)
        left_s = window.reset_time - time.time()  # noqa: TID251 - it was added just now
        reset_s = max(1, min(math.ceil(left_s), self._item.get_expiry()))
        headers = {
            "RateLimit-Limit": str(self._item.amount),
            "RateLimit-Remaining": str(window.remaining),
            "RateLimit-Reset": str(reset_s),
        }
        if not within:
            detail = f"requests of {name} exceed the limit of {self._item}"
            headers |= retry_after(reset_s)
            raise ApiError(
                ErrorCode.RATE_LIMITED, detail, accepted=str(self._item), headers=headers
            )
        return headers


def sliding_window(connection: redis.asyncio.Redis) -> SlidingWindowCounterRateLimiter:
    """Returns a limiter that counts in this Redis."""
    storage = RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix="shapshot:rate",
        connection_pool=connection.connection_pool,  # type: ignore[arg-type]  # as it documents
    )
    return SlidingWindowCounterRateLimiter(storage)
