"""The chain of sealed statements: which results have no record yet, and the ways to add to it."""

from dataclasses import dataclass
from typing import Any

import redis
from pydantic import ValidationError

from service.jobs.audit import audited
from service.jobs.claims import IdempotencyClaim
from service.jobs.facets import in_words, review_facets
from service.jobs.records import ChainEntry, RecordReference, ReviewReference
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import (
    EXPLANATION_ID,
    RECORDS,
    UNSEALED,
    UNSTAMPED,
    as_text,
    reviews_key_of,
)
from service.jobs.scripts import Review, Scripts, Seal, Stamp
from service.schemas.keeping import LastReview


class ChainError(Exception):
    """The last entry of the chain cannot be read, so nothing can follow it."""


@dataclass(frozen=True)
class Head:
    """The end of the chain, and the time by Redis's clock.

    sequence: of the next statement. previous: sha256 of the last one's payload; None: none yet.
    """

    sequence: int
    previous: str | None
    now: float


class RecordChain:
    """Blocking; every call may raise `redis.RedisError`."""

    def __init__(self, connection: redis.Redis, audit: str = "off") -> None:
        """audit: the setting of the audit log: reads, changes or off."""
        self._redis = connection
        self._scripts = Scripts(connection)
        self._audit = audit

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

    def unstamped(self, limit: int) -> list[str]:
        """Return ids of records that are to have a timestamp, in no order."""
        found: Any = self._redis.srandmember(UNSTAMPED, limit)
        return [as_text(member) for member in found]

    def forget_unstamped(self, explanation_id: str) -> None:
        """Expect no timestamp of it any more."""
        self._redis.srem(UNSTAMPED, explanation_id)

    def stamp(self, explanation_id: str, record: RecordReference) -> str:
        """Keep the timestamp of a record; returns stamped, known (it has one) or gone."""
        tag, _ = self._scripts.run(Stamp(explanation_id, record.model_dump_json()))
        return tag

    def add(self, explanation_id: str, record: RecordReference, *, stamp: bool = False) -> str:
        """Add a record at the end of the chain, if it is still there.

        stamp: whether it is to have a timestamp.

        Returns sealed, known (it has a record), moved (another came first) or gone.
        """
        entry = ChainEntry(id=explanation_id, sha256=record.payload_sha256)
        told = record.model_dump_json(exclude_none=True)
        seal = Seal(explanation_id, record.sequence, _dumped(entry), told, stamp)
        tag, _ = self._scripts.run(seal)
        return tag

    def reviews(self, explanation_id: str) -> list[ReviewReference]:
        """Read the reviews of an explanation, in their order. Raises ChainError."""
        try:
            raw = self._redis.lrange(reviews_key_of(explanation_id), 0, -1)
            return [ReviewReference.model_validate_json(each) for each in raw]
        except ValidationError as error:
            raise ChainError(f"a review of {explanation_id} in Redis cannot be read") from error

    def add_review(
        self,
        explanation_id: str,
        reference: ReviewReference,
        last: LastReview,
        claim: IdempotencyClaim | None = None,
    ) -> str:
        """Add a review at the end of the chain and of those of its explanation.

        last: for the explanation's document. Returns reviewed, claimed, moved (another statement or
        review came first), or gone (no record, or deleted).
        """
        review = reference.review
        entry = ChainEntry(id=explanation_id, sha256=review.sha256, kind="review")
        call = Review(
            explanation_id,
            review.sequence,
            _dumped(entry),
            review.number,
            reference.model_dump_json(),
            last.model_dump_json(),
            in_words(review_facets(last)),
            review.verdict.value,
            claim,
            audited(self._audit),
        )
        tag, _ = self._scripts.run(call)
        return tag

    def claim(self, claim: IdempotencyClaim) -> bool:
        """Write a claim of a statement that is there; False if the claim was made before."""
        return bool(self._redis.set(claim.key, claim.text, ex=claim.seconds, nx=True))

    def entries(self, start: int, count: int) -> list[ChainEntry]:
        """Read entries from a sequence number on. Raises ChainError."""
        raw = self._redis.lrange(RECORDS, start, start + count - 1)
        return [_entry(each) for each in raw]


def is_explanation(member: str) -> bool:
    return EXPLANATION_ID.fullmatch(member) is not None


def _dumped(entry: ChainEntry) -> str:
    return entry.model_dump_json(exclude_defaults=True)  # records' entries as ever


def _sha256(raw: bytes | str) -> str:
    return _entry(raw).sha256


def _entry(raw: bytes | str) -> ChainEntry:
    try:
        return ChainEntry.model_validate_json(raw)
    except ValidationError as error:
        raise ChainError("an entry of the chain of records in Redis cannot be read") from error
