"""What was ever done, counted exactly once, and what is under way: as Redis knows it.

The totals are one hash; the scripts add to it in the step that accepts or ends a job, so
that no answer that got lost, no attempt that lost its lease and no restart counts twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import get_args

import redis

from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import as_text, key_of
from service.jobs.worker_registry import read_live_workers
from service.schemas.requests import Priority

TOTALS = "shapshot:totals"


@dataclass
class WaitingJobs:
    """Those of one priority that wait."""

    jobs: int = 0
    oldest_s: float = 0.0  # age of the oldest; 0 where none waits


@dataclass(frozen=True)
class QueueStatistics:
    """How things stand at one moment."""

    waiting: Mapping[Priority, WaitingJobs]
    running: int
    workers: Mapping[str, list[str]]  # those alive, and the models that each serves
    totals: Mapping[str, float]  # fields as the scripts name them


def read_statistics(connection: redis.Redis, queue: str) -> QueueStatistics:
    """Raises `redis.RedisError`."""
    raw = connection.hgetall(TOTALS)
    return QueueStatistics(
        waiting=_lines(connection, f"rq:queue:{queue}"),
        running=int(connection.zcard(f"rq:wip:{queue}")),
        workers=read_live_workers(connection).available,
        totals={as_text(name): _number(value) for name, value in raw.items()},
    )


def _lines(connection: redis.Redis, key: str) -> dict[Priority, WaitingJobs]:
    """Who waits is looked at one by one: the order of the queue is not that of age."""
    with connection.pipeline(transaction=False) as pipe:
        pipe.time()
        for id_ in connection.lrange(key, 0, -1):
            pipe.hmget(key_of(as_text(id_)), "priority", "created_at")
        answer, *found = pipe.execute()
    now = as_seconds(answer)
    lines = {priority: WaitingJobs() for priority in get_args(Priority)}
    for priority, created_at in found:
        if priority and created_at and (line := lines.get(as_text(priority))):
            line.jobs += 1
            line.oldest_s = max(line.oldest_s, now - _number(created_at))
    return lines


def _number(value: bytes | str) -> float:
    """0 where somebody else wrote what is none."""
    try:
        number = float(value)
    except ValueError:
        return 0.0
    return number if isfinite(number) else 0.0
