"""Reads the hash of an explanation or a batch; a missing one reads as empty.

A key of another Redis type is logged and also reads as empty, so it fails no reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
import redis.asyncio
import structlog

from service.jobs.codec import Hash, decode, decode_batch
from service.jobs.records import BatchRecord, State
from service.jobs.redis_keys import as_text, key_of
from service.schemas.documents import Status

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


@dataclass(frozen=True)
class StateSummary:
    """The status, the owner and the batch of an explanation."""

    status: Status
    owner: str | None
    batch: str | None

    def belongs_to(self, batch: BatchRecord) -> bool:
        """Return the same as `BatchRecord.has`."""
        named = self.status is Status.EXPIRED or self.batch == batch.id
        return named and self.owner == batch.owner


async def read_summaries(
    connection: redis.asyncio.Redis, ids: Sequence[str]
) -> list[StateSummary | None]:
    """Read only the status, owner and batch of explanations, in one round trip."""
    async with connection.pipeline(transaction=False) as pipe:
        for id_ in ids:
            pipe.hmget(key_of(id_), "status", "owner", "batch")
        replies = await pipe.execute(raise_on_error=False)
    fields = [_checked(id_, reply) or [None] * 3 for id_, reply in zip(ids, replies, strict=True)]
    texts = [[None if each is None else as_text(each) for each in reply] for reply in fields]
    return [
        StateSummary(Status(status), owner, batch) if status in set(Status) else None
        for status, owner, batch in texts
    ]


def _checked(id_: str, reply: Any) -> Hash:
    """Return the hash, or {} for a key of another type; raises any other error of Redis."""
    if not isinstance(reply, Exception):
        hash_: Hash = reply
        return hash_
    if not str(reply).startswith("WRONGTYPE"):
        raise reply
    log.warning("invalid record skipped", id=id_, reason=str(reply))
    return {}
