"""Opens connections to Redis: calls time out after 5 s, and a broken connection is retried once.

A caller that can wait longer for Redis retries on its own.
"""

from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

TIMEOUTS = {"socket_timeout": 5, "socket_connect_timeout": 2}
MAX_CONCURRENT_READS = 32  # connections of one process with an asyncio client
MAX_READ_WAIT_S = 20  # longest wait for a free one


def connect(url: str, **options: Any) -> redis.Redis:
    """Open a blocking client."""
    retry = Retry(ExponentialBackoff(cap=0.5), retries=1)
    defaults: dict[str, Any] = TIMEOUTS | {"retry": retry}
    return redis.Redis.from_url(url, **(defaults | options))


def connect_async(url: str) -> redis.asyncio.Redis:
    """Open an asyncio client; calls beyond MAX_CONCURRENT_READS queue for a connection."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONCURRENT_READS,
        timeout=MAX_READ_WAIT_S,
        retry=AsyncRetry(ExponentialBackoff(cap=0.5), retries=1),
        **TIMEOUTS,
    )
    return redis.asyncio.Redis.from_pool(pool)
