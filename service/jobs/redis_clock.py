"""Redis's clock, the only one by which the service is timed across machines.

Scripts read it by themselves (`lua/clock.lua`); what is only read is judged by the TIME of the same
trip. A process measures what it does alone by its monotonic clock; its wall clock dates its log
lines, and nothing else.
"""

import time

import redis
import structlog

LARGE_OFFSET_S = 1.0  # an offset that somebody should see to

log = structlog.get_logger(__name__)


def as_seconds(answer: tuple[int, int]) -> float:
    """Seconds since the epoch, of what TIME answers."""
    seconds, microseconds = answer
    return seconds + microseconds / 1e6


def measure_offset(connection: redis.Redis) -> float:
    """Seconds by which the clock of this process is ahead, to half a round trip.

    Raises `redis.RedisError`.
    """
    asked_at = time.time()  # noqa: TID251 - what is compared
    answer = connection.time()
    heard_at = time.time()  # noqa: TID251
    return (asked_at + heard_at) / 2 - as_seconds(answer)


def log_offset(seconds: float) -> None:
    """Tell how far the clock of this process is from Redis's."""
    write = log.warning if abs(seconds) > LARGE_OFFSET_S else log.info
    write("clock compared with Redis's", offset_s=round(seconds, 3))
