"""The chain of sealed records: which results have none yet, and the one way to add one."""

from dataclasses import dataclass
from typing import Any

import redis
from pydantic import ValidationError

from service.jobs.records import ChainEntry, RecordReference
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import EXPLANATION_ID, RECORDS, UNSEALED, as_text
from service.jobs.scripts import Scripts, Seal


class ChainError(Exception):
    """The last entry of the chain cannot be read, so nothing can follow it."""


@dataclass(frozen=True)
class Head:
    """The end of the chain, and the time by Redis's clock.

    sequence: of the next record. previous: sha256 of the last record's payload; None: none yet.
    """

    sequence: int
    previous: str | None
    now: float


class RecordChain:
    """Blocking; every call may raise `redis.RedisError`."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._scripts = Scripts(connection)

    def unsealed(self, limit: int) -> list[str]:
        """Return ids of results without a record, in no order."""
        found: Any = self._redis.srandmember(UNSEALED, limit)
        return [as_text(member) for member in found]

    def forget(self, explanation_id: str) -> None:
        """Expect no record of it any more."""
        self._redis.srem(UNSEALED, explanation_id)

    def head(self) -> Head:
        """Read the end of the chain. Raises ChainError."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.llen(RECORDS)
            pipe.lindex(RECORDS, -1)
            pipe.time()
            count, last, now = pipe.execute()
        return Head(count, _sha256(last) if last else None, as_seconds(now))

    def add(self, explanation_id: str, record: RecordReference) -> str:
        """Add a record at the end of the chain, if it is still there.

        Returns sealed, known (it has a record), moved (another came first) or gone.
        """
        entry = ChainEntry(id=explanation_id, sha256=record.payload_sha256)
        seal = Seal(
            explanation_id, record.sequence, entry.model_dump_json(), record.model_dump_json()
        )
        tag, _ = self._scripts.run(seal)
        return tag

    def entries(self, start: int, count: int) -> list[ChainEntry]:
        """Read entries from a sequence number on. Raises ChainError."""
        raw = self._redis.lrange(RECORDS, start, start + count - 1)
        return [_entry(each) for each in raw]


def is_explanation(member: str) -> bool:
    return EXPLANATION_ID.fullmatch(member) is not None


def _sha256(raw: bytes | str) -> str:
    return _entry(raw).sha256


def _entry(raw: bytes | str) -> ChainEntry:
    try:
        return ChainEntry.model_validate_json(raw)
    except ValidationError as error:
        raise ChainError("an entry of the chain of records in Redis cannot be read") from error
