"""What was ever done, counted exactly once, and what is under way: as Redis knows it.

The totals are one hash; the ledger's scripts add to it in the step that accepts or ends a job, so
that no answer that got lost, no attempt that lost its lease and no restart counts twice.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import redis

from service.contract.ledger import as_text, key_of
from service.contract.presence import available_models

TOTALS = "shapshot:totals"


@dataclass(frozen=True)
class Line:
    """Those that wait in one queue."""

    jobs: int
    oldest_s: float  # age of the first; 0 where none waits


@dataclass(frozen=True)
class Traffic:
    """How things stand at one moment."""

    waiting: Line
    running: int
    workers: Mapping[str, list[str]]  # those alive, and the models that each serves
    totals: Mapping[str, float]  # fields as the scripts name them


def read_traffic(connection: redis.Redis, queue: str) -> Traffic:
    """Raises `redis.RedisError`."""
    raw = connection.hgetall(TOTALS)
    return Traffic(
        waiting=_line(connection, f"rq:queue:{queue}"),
        running=int(connection.zcard(f"rq:wip:{queue}")),
        workers=available_models(connection),
        totals={as_text(name): float(value) for name, value in raw.items()},
    )


def _line(connection: redis.Redis, key: str) -> Line:
    first = connection.lindex(key, 0)
    created_at = connection.hget(key_of(as_text(first)), "created_at") if first else None
    age_s = max(0.0, time.time() - float(created_at)) if created_at else 0.0
    return Line(int(connection.llen(key)), age_s)
