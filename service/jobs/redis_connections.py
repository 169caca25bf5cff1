"""The one way to reach Redis: a silent server is noticed within 5 s, a broken connection is tried
once more. Who can wait longer for a Redis that is away waits by itself."""

from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

TIMEOUTS = {"socket_timeout": 5, "socket_connect_timeout": 2}
MAX_CONCURRENT_READS = 32  # connections of a process that reads without blocking
MAX_READ_WAIT_S = 20  # longest wait for one of them


def connect(url: str, **options: Any) -> redis.Redis:
    """A blocking client."""
    retry = Retry(ExponentialBackoff(cap=0.5), retries=1)
    defaults: dict[str, Any] = TIMEOUTS | {"retry": retry}
    return redis.Redis.from_url(url, **(defaults | options))


def connect_async(url: str) -> redis.asyncio.Redis:
    """A client whose readers queue for its connections, however many wait for a change at once."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONCURRENT_READS,
        timeout=MAX_READ_WAIT_S,
        retry=AsyncRetry(ExponentialBackoff(cap=0.5), retries=1),
        **TIMEOUTS,
    )
    return redis.asyncio.Redis.from_pool(pool)
