"""Redis's clock, the only one by which anything of the service is timed across machines.

Scripts read it by themselves (`lua/clock.lua`); what is only read is judged by the `TIME` of the
same trip. A process's own clock dates its log lines; between two points of its own it measures by
the monotonic one.
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


def measure_offset(connection: redis.Redis) -> float:
    """Seconds by which the clock of this process is ahead of Redis's, to half a round trip.

    Raises `redis.RedisError`.
    """
    asked_at = time.time()
    answer = connection.time()
    return (asked_at + time.time()) / 2 - as_seconds(answer)


def log_offset(connection: redis.Redis) -> None:
    """Tell how far this process's clock is from Redis's. Raises `redis.RedisError`."""
    offset_s = measure_offset(connection)
    write = log.warning if abs(offset_s) > LARGE_S else log.info
    write("clock compared with that of Redis", offset_s=round(offset_s, 3))
