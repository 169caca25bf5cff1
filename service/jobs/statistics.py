"""Statistics from Redis: totals since the start, each job counted exactly once, and current load.

The totals are one hash. The script that accepts or ends a job also adds to the totals, so a lost
reply, a lost lease or a restart never counts twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import get_args

import redis

from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import WEBHOOKS, as_text, key_of, pending_key_of, webhook_key_of
from service.jobs.worker_registry import read_live_workers
from service.schemas.requests import Priority

TOTALS = "shapshot:totals"


@dataclass
class WaitingJobs:
    """The waiting jobs of one priority."""

    jobs: int = 0
    oldest_s: float = 0.0  # age of the oldest; 0 if none waits


@dataclass
class WebhookCounts:
    """Webhooks, and the deliveries that wait for them, also for their next attempt."""

    enabled: int = 0
    disabled: int = 0
    waiting: int = 0  # of those that are enabled


@dataclass(frozen=True)
class QueueStatistics:
    """A snapshot of the queue, the workers and the totals."""

    waiting: Mapping[Priority, WaitingJobs]
    running: int
    workers: Mapping[str, list[str]]  # live workers, and the models that each serves
    webhooks: WebhookCounts
    totals: Mapping[str, float]  # by the field names that the scripts use


def read_statistics(connection: redis.Redis, queue: str) -> QueueStatistics:
    """Read the statistics. Raises `redis.RedisError`."""
    raw = connection.hgetall(TOTALS)
    return QueueStatistics(
        waiting=_count_waiting(connection, f"rq:queue:{queue}"),
        running=int(connection.zcard(f"rq:wip:{queue}")),
        workers=read_live_workers(connection).available,
        webhooks=_count_webhooks(connection),
        totals={as_text(name): _number(value) for name, value in raw.items()},
    )


def _count_waiting(connection: redis.Redis, key: str) -> dict[Priority, WaitingJobs]:
    """Count by priority; reads every waiting job, as the queue is not ordered by age."""
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


def _count_webhooks(connection: redis.Redis) -> WebhookCounts:
    with connection.pipeline(transaction=False) as pipe:
        for id_ in map(as_text, connection.zrange(WEBHOOKS, 0, -1)):
            pipe.hexists(webhook_key_of(id_), "disabled_at")
            pipe.zcard(pending_key_of(id_))
        replies = pipe.execute()
    counts = WebhookCounts()
    for is_disabled, pending in zip(replies[::2], replies[1::2], strict=True):
        counts.enabled += not is_disabled
        counts.disabled += is_disabled
        counts.waiting += 0 if is_disabled else pending
    return counts


def _number(value: bytes | str) -> float:
    """Parse a total; 0 for anything but a finite number."""
    try:
        number = float(value)
    except ValueError:
        return 0.0
    return number if isfinite(number) else 0.0
