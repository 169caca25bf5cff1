"""Ways in which a real Redis answers but takes no writes, each until its block ends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import redis

from tests.conftest import wait_until


@contextmanager
def _configured(connection: redis.Redis, name: str, value: object, usual: object) -> Iterator[None]:
    connection.config_set(name, value)
    try:
        yield
    finally:
        connection.config_set(name, usual)


def full(connection: redis.Redis) -> AbstractContextManager[None]:
    """It exceeds its memory limit, and evicts nothing."""
    return _configured(connection, "maxmemory", 1, usual=0)


def alone(connection: redis.Redis) -> AbstractContextManager[None]:
    """It requires a replica and has none."""
    return _configured(connection, "min-replicas-to-write", 1, usual=0)


@contextmanager
def demoted(connection: redis.Redis) -> Iterator[None]:
    """It is the replica of an absent master."""
    connection.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        connection.replicaof("NO", "ONE")


@contextmanager
def orphaned(connection: redis.Redis) -> Iterator[None]:
    """It is such a replica, and does not serve stale data."""
    silent = _configured(connection, "replica-serve-stale-data", "no", usual="yes")
    with silent, demoted(connection):
        yield


@contextmanager
def without_disk(connection: redis.Redis) -> Iterator[None]:
    """It cannot save snapshots: a folder has the name of the file."""
    where = connection.config_get("dir")["dir"], connection.config_get("dbfilename")["dbfilename"]
    in_the_way = Path(*where)
    in_the_way.mkdir()
    connection.config_set("save", "3600 1000000")
    try:
        _save(connection, "err")
        yield
    finally:
        in_the_way.rmdir()
        _save(connection, "ok")
        in_the_way.unlink()
        connection.config_set("save", "")


def _save(connection: redis.Redis, status: str) -> None:
    connection.bgsave()
    wait_until(
        lambda: connection.info("persistence")["rdb_last_bgsave_status"] == status, seconds=20
    )


OUTAGES: Mapping[str, Callable[[redis.Redis], AbstractContextManager[None]]] = {
    "OOM": full,
    "NOREPLICAS": alone,
    "READONLY": demoted,
    "MASTERDOWN": orphaned,
    "MISCONF": without_disk,
}
