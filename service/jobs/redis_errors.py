"""What is the matter with a Redis that takes no write for now: who has to write can wait.

It is gone, or it answers that it cannot. What it will never take (NOPERM, WRONGTYPE) is no outage.
"""

import re

import redis

REASONS = {
    "OOM": "Redis is full",
    "MISCONF": "Redis cannot write to its disk",
    "READONLY": "Redis is a replica, which takes no writes",
    "UNBLOCKED": "Redis has become a replica",  # said to who waits for a job
    "NOREPLICAS": "Redis has too few replicas",
    "MASTERDOWN": "Redis has lost its master",
    "LOADING": "Redis is still loading its data",
    "BUSY": "Redis is busy with a script",
}
# At the very beginning, or quoted: by a pipeline, and from a script by servers before 7
_CODE = re.compile(rf"(?:^|: -?)({'|'.join(REASONS)})\b")


def outage_reason(error: redis.RedisError) -> str | None:
    """What is the matter, with nothing of the error's own words; None where it is no outage."""
    if code := _CODE.search(f"{error.status_code}: {error}"):
        return REASONS[code[1]]
    gone = isinstance(error, redis.ConnectionError | redis.TimeoutError)
    return "Redis does not answer" if gone else None
