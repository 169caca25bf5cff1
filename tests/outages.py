"""Ways of a real Redis to answer and take no writes, each until its block is left."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import redis

from tests.conftest import wait_until


@contextmanager
def full(connection: redis.Redis) -> Iterator[None]:
    """It uses more than it may, and evicts nothing."""
    connection.config_set("maxmemory", 1)
    try:
        yield
    finally:
        connection.config_set("maxmemory", 0)


@contextmanager
def alone(connection: redis.Redis) -> Iterator[None]:
    """It wants a replica and has none."""
    connection.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        connection.config_set("min-replicas-to-write", 0)


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
    connection.config_set("replica-serve-stale-data", "no")
    try:
        with demoted(connection):
            yield
    finally:
        connection.config_set("replica-serve-stale-data", "yes")


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
