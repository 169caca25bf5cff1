"""Tells outages of Redis, which a writer can wait out, from permanent errors.

In an outage Redis is unreachable or temporarily rejects writes. Permanent errors, such as NOPERM
and WRONGTYPE, are no outage.
"""

import re

import redis

REASONS = {
    "OOM": "Redis is full",
    "MISCONF": "Redis cannot write to its disk",
    "READONLY": "Redis is a read-only replica",
    "UNBLOCKED": "Redis has become a replica",  # sent to clients in a blocking read
    "NOREPLICAS": "Redis has too few replicas",
    "MASTERDOWN": "Redis has lost its master",
    "LOADING": "Redis is still loading its data",
    "BUSY": "Redis is busy with a script",
}
# At the start, or quoted: by a pipeline, or in a script's error on servers before 7
_CODE = re.compile(rf"(?:^|: -?)({'|'.join(REASONS)})\b")


def outage_reason(error: redis.RedisError) -> str | None:
    """Describe the outage, without quoting the error; None if the error is no outage."""
    if code := _CODE.search(f"{error.status_code}: {error}"):
        return REASONS[code[1]]
    gone = isinstance(error, redis.ConnectionError | redis.TimeoutError)
    return "Redis does not answer" if gone else None
