"""Redis's clock, the only clock that is shared across machines.

Scripts read it themselves (`lua/clock.lua`); readers fetch TIME in the same round trip as the data.
A process times its own work by its monotonic clock, and uses its wall clock for log lines only.
"""

import time

import redis
import structlog

LARGE_OFFSET_S = 1.0  # an offset that an operator should fix

log = structlog.get_logger(__name__)


def as_seconds(answer: tuple[int, int]) -> float:
    """Convert a reply of TIME to seconds since the epoch."""
    seconds, microseconds = answer
    return seconds + microseconds / 1e6


def measure_offset(connection: redis.Redis) -> float:
    """Measure by how many seconds this process's clock is ahead, to half a round trip.

    Raises `redis.RedisError`.
    """
    asked_at = time.time()  # noqa: TID251 - the clock being compared
    answer = connection.time()
    heard_at = time.time()  # noqa: TID251
    return (asked_at + heard_at) / 2 - as_seconds(answer)


def log_offset(seconds: float) -> None:
    """Log the offset of this process's clock from Redis's."""
    write = log.warning if abs(seconds) > LARGE_OFFSET_S else log.info
    write("clock compared with Redis's", offset_s=round(seconds, 3))
