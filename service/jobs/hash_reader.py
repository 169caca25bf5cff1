"""Reads the hash of an explanation or a batch; a missing one reads as empty.

A key of another Redis type is logged and also reads as empty, so it fails no reader.
"""

from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
import structlog

from service.jobs.codec import Hash, decode, decode_batch
from service.jobs.records import BatchRecord, State
from service.jobs.redis_keys import key_of

log = structlog.get_logger(__name__)


def read_state(connection: redis.Redis, id_: str) -> State | None:
    return decode(id_, _read_hash(connection, id_))


def read_batch(connection: redis.Redis, id_: str) -> BatchRecord | None:
    return decode_batch(id_, _read_hash(connection, id_))


def _read_hash(connection: redis.Redis, id_: str) -> Hash:
    try:
        return connection.hgetall(key_of(id_))
    except redis.ResponseError as error:
        return _checked(id_, error)


async def read_hash(connection: redis.asyncio.Redis, id_: str) -> Hash:
    """Read one hash without a pipeline: a pipeline of one command costs half as much again."""
    try:
        return await connection.hgetall(key_of(id_))
    except redis.ResponseError as error:
        return _checked(id_, error)


async def read_hashes(connection: redis.asyncio.Redis, ids: Sequence[str]) -> list[Hash]:
    """Read several hashes in one round trip."""
    async with connection.pipeline(transaction=False) as pipe:
        for id_ in ids:
            pipe.hgetall(key_of(id_))
        replies = await pipe.execute(raise_on_error=False)
    return [_checked(id_, reply) for id_, reply in zip(ids, replies, strict=True)]


def _checked(id_: str, reply: Any) -> Hash:
    """Return the hash, or {} for a key of another type; raises any other error of Redis."""
    if not isinstance(reply, Exception):
        hash_: Hash = reply
        return hash_
    if not str(reply).startswith("WRONGTYPE"):
        raise reply
    log.warning("invalid record skipped", id=id_, reason=str(reply))
    return {}
