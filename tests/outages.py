"""Ways of a real Redis to answer and take no writes, each until its block is left."""

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
    """It uses more than it may, and evicts nothing."""
    return _configured(connection, "maxmemory", 1, usual=0)


def alone(connection: redis.Redis) -> AbstractContextManager[None]:
    """It wants a replica and has none."""
    return _configured(connection, "min-replicas-to-write", 1, usual=0)


@contextmanager
def demoted(connection: redis.Redis) -> Iterator[None]:
    """It is the replica of one that is not there."""
    connection.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        connection.replicaof("NO", "ONE")


@contextmanager
def orphaned(connection: redis.Redis) -> Iterator[None]:
    """The same, and it does not tell what it knew."""
    silent = _configured(connection, "replica-serve-stale-data", "no", usual="yes")
    with silent, demoted(connection):
        yield


@contextmanager
def without_disk(connection: redis.Redis) -> Iterator[None]:
    """It is to save snapshots and cannot: a folder stands where they go."""
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
