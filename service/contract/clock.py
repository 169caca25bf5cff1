"""Redis's clock, the only one by which the service is timed across machines.

Scripts read it by themselves (`lua/clock.lua`); what is only read is judged by the TIME of the same
trip. A process measures what it does alone by its monotonic clock; its wall clock dates its log
lines, and nothing else.
"""

import time

import redis
import structlog

LARGE_S = 1.0  # an offset that somebody should see to

log = structlog.get_logger(__name__)


def as_seconds(answer: tuple[int, int]) -> float:
    """Seconds since the epoch, of what TIME answers."""
    seconds, microseconds = answer
    return seconds + microseconds / 1e6


def offset_s(asked_at: float, answer: tuple[int, int]) -> float:
    """Seconds by which the clock of this process is ahead, to half a round trip.

    asked_at: `time.time()` before TIME was asked; answer: what has just come.
    """
    return (asked_at + time.time()) / 2 - as_seconds(answer)


def measure_offset(connection: redis.Redis) -> float:
    """The same, asked now. Raises `redis.RedisError`."""
    return offset_s(time.time(), connection.time())


def log_offset(seconds: float) -> None:
    """Tell how far the clock of this process is from Redis's."""
    write = log.warning if abs(seconds) > LARGE_S else log.info
    write("clock compared with Redis's", offset_s=round(seconds, 3))
