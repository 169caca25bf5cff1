"""Exit 0 where this container's worker holds its lease and serves a model.

It also fails while Redis is gone, although the worker only waits then: start nothing anew for it.
With `--alive`, exit 0 where the process does its chores, Redis or not: start it anew where not.
"""

import socket
import sys
import time

import redis

from service.infra.settings.worker import WorkerSettings
from service.jobs.redis_connections import connect
from service.jobs.worker_registry import read_live_workers


def is_healthy(settings: WorkerSettings, *, host: str) -> bool:
    """A worker's name begins with its host, which is the container."""
    try:
        with connect(settings.redis_url) as connection:
            serving = read_live_workers(connection).available
            return any(models for name, models in serving.items() if name.startswith(f"{host}-"))
    except redis.RedisError:
        return False


def is_alive(settings: WorkerSettings) -> bool:
    """Whether the file was touched within the last lease; a worker touches it four times in one.

    It is dated by the monotonic clock of the machine, which goes on when somebody sets the other.
    """
    if not settings.alive_file or not settings.alive_file.exists():
        return False
    return 0 <= time.monotonic() - settings.alive_file.stat().st_mtime < settings.lease_s


if __name__ == "__main__":
    if "--alive" in sys.argv[1:]:
        sys.exit(0 if is_alive(WorkerSettings()) else 1)
    sys.exit(0 if is_healthy(WorkerSettings(), host=socket.gethostname()) else 1)
