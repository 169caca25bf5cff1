"""How many requests a name may make: counted in Redis, so that all API processes count together."""

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
    """One limit, for each name apart; its window slides."""

    def __init__(self, item: RateLimitItem, connection: redis.asyncio.Redis) -> None:
        self._item = item
        self._limiter = sliding_window(connection)

    @classmethod
    def of(cls, text: str, connection: redis.asyncio.Redis) -> Self | None:
        """As the settings have it; None where there is to be none."""
        return None if text == OFF else cls(parse(text), connection)

    async def count(self, name: str) -> Mapping[str, str]:
        """Count a request; the headers that say how many are left. Raises ApiError, RedisError."""
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
            detail = f"{name} has made {self._item}"
            headers |= retry_after(reset_s)
            raise ApiError(
                ErrorCode.RATE_LIMITED, detail, accepted=str(self._item), headers=headers
            )
        return headers


def sliding_window(connection: redis.asyncio.Redis) -> SlidingWindowCounterRateLimiter:
    """What counts in this Redis."""
    storage = RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix="shapshot:rate",
        connection_pool=connection.connection_pool,  # type: ignore[arg-type]  # as it documents
    )
    return SlidingWindowCounterRateLimiter(storage)
