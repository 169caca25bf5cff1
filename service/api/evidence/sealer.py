"""Seals records: signs each result's statement and appends it to the chain, exactly once.

A worker that ends an explanation, or the cache that answers one, notes its id as unsealed in the
same step. Any API process may seal it: the script that appends to the chain accepts one record for
an explanation, and only at the end of the chain, so those that lose the race sign again or give up.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis
import structlog
from anyio import move_on_after, to_thread
from pydantic import ValidationError

from service.api.evidence.statements import (
    review_statement,
    segment_statement,
    statement_of,
    subjects_of,
)
from service.api.state.serializers import to_datetime
from service.evidence.envelopes import RecordError, encode, seal
from service.evidence.keys import SigningKey
from service.infra.artifact_store import (
    DamagedArtifactError,
    MissingArtifactError,
    Store,
    StoreError,
    evidence_key,
    record_key,
    review_key,
)
from service.infra.artifacts import Artifact, read_whole
from service.jobs.audit_log import AuditLog
from service.jobs.claims import AlreadyClaimedError, IdempotentRequest
from service.jobs.hash_reader import read_state
from service.jobs.records import RecordReference, ReviewReference, State
from service.jobs.redis_clock import as_seconds
from service.jobs.sealing import ChainError, Head, RecordChain, is_explanation
from service.schemas.evidence import Evidence
from service.schemas.keeping import LastReview
from service.schemas.record import (
    BUNDLE_TYPE,
    STATEMENT_TYPE,
    Bundle,
    BundleStatement,
    SignedStatement,
)
from service.schemas.reviews import (
    MAX_REVIEWS,
    ReviewDocument,
    ReviewRequest,
    ReviewStatement,
)

ADDED = ("sealed", "reviewed")
PAGE = 32  # ids
SEGMENT_ENTRIES, SEGMENT_S = 1000, 600  # of the audit log: the most entries, the longest wait
LOOK_S = 10.0  # between looks at the audit log
STOP_S = 5.0  # for sealing when the process stops
PAUSE_S, OUTAGE_S = 1.0, 5.0  # between looks for results, and while Redis or the store is away

log = structlog.get_logger(__name__)


class NoEvidenceError(Exception):
    """A result has no evidence that can be recorded; the message says why."""


class TooManyReviewsError(Exception):
    """An explanation has as many reviews as it may have."""


@dataclass(frozen=True)
class Signed:
    """A signed statement, and its place in the chain."""

    sequence: int
    payload: bytes
    envelope: Artifact

    @property
    def payload_sha256(self) -> str:
        return Artifact.of(self.payload).sha256


class RecordSealer:
    """Seals results by one key. `seal` blocks and may raise RedisError, StoreError, ChainError.

    stamp: whether records are to have timestamps. audit: the setting of the audit log: reads,
    changes or off.
    """

    def __init__(
        self,
        connection: redis.Redis,
        store: Store,
        key: SigningKey,
        audit: str = "off",
        *,
        stamp: bool = False,
    ) -> None:
        self._redis = connection
        self._chain = RecordChain(connection, audit)
        self._audit_log = AuditLog(connection)
        self._store = store
        self._key = key
        self._stamp = stamp

    def seal(self, state: State) -> None:
        """Seal the record of an explanation with a result, unless it has one.

        Raises NoEvidenceError.
        """
        evidence = self._read_evidence(state)

        def add(signed: Signed) -> str:
            record = RecordReference(
                envelope=signed.envelope,
                payload_sha256=signed.payload_sha256,
                key_id=self._key.public.kid,
                sequence=signed.sequence,
            )
            return self._chain.add(state.id, record, stamp=self._stamp)

        place = partial(record_key, state.id)
        self._append(lambda head: statement_of(state, evidence, head), place, add)

    def review(
        self,
        state: State,
        asked: ReviewRequest,
        reviewer: str,
        key: str | None,
        request: IdempotentRequest | None = None,
    ) -> ReviewDocument | None:
        """Seal a review of an explanation that has a record; None if it was deleted meanwhile.

        A review equal to the last one, by the same key, is not added again. The claim of the
        request names the review's number.

        Raises NoEvidenceError, TooManyReviewsError, AlreadyClaimedError.
        """
        found: list[ReviewDocument] = []

        def write(head: Head) -> ReviewStatement:
            found[:] = [each.review for each in self._chain.reviews(state.id)]
            if len(found) == MAX_REVIEWS:
                raise TooManyReviewsError
            return review_statement(state, asked, reviewer, key, len(found) + 1, head)

        def add(signed: Signed) -> str:
            said = ReviewStatement.model_validate_json(signed.payload).predicate
            document = ReviewDocument(
                **said.model_dump(exclude={"id", "chain"}),
                sequence=signed.sequence,
                sha256=signed.payload_sha256,
            )
            if found and _told(found[-1]) == _told(document):
                claim = request.claim(str(found[-1].number)) if request else None
                return "claimed" if claim and not self._chain.claim(claim) else "known"
            last = LastReview(
                **said.model_dump(include=set(LastReview.model_fields)), count=said.number
            )
            reference = ReviewReference(envelope=signed.envelope, review=document)
            claim = request.claim(str(document.number)) if request else None
            tag = self._chain.add_review(state.id, reference, last, claim)
            if tag == "reviewed":
                found.append(document)
            return tag

        tag = self._append(write, partial(review_key, state.id), add)
        if tag == "claimed":
            raise AlreadyClaimedError
        return None if tag == "gone" else found[-1]

    def _append(
        self,
        write: Callable[[Head], SignedStatement],
        place: Callable[[str], str],
        add: Callable[["Signed"], str],
    ) -> str:
        """Sign and store a statement and add it to the chain, again if another came first.

        write: the statement to follow the head. place: its key in the store, by the sha256 of the
        envelope. add: adds it in Redis. Returns what `add` did; unless it added it, the store
        forgets it.
        """
        while True:
            head = self._chain.head()
            try:
                payload = encode(write(head))
            except RecordError as error:
                raise NoEvidenceError(str(error)) from error
            content = seal(payload, self._key)
            envelope = Artifact.of(content)
            key = place(envelope.sha256)
            self._store.put(key, content)
            tag = add(Signed(head.sequence, payload, envelope))
            if tag not in ADDED:
                self._store.delete(key)
            if tag != "moved":
                return tag

    def seal_audit(self, *, min_age_s: float = SEGMENT_S) -> bool:
        """Seal the entries of the audit log after its last segment, if there are enough.

        min_age_s: of the first, where there are fewer than SEGMENT_ENTRIES. Returns whether it
        sealed some.
        """
        while True:
            found, head = self._audit_log.unsealed(SEGMENT_ENTRIES), self._chain.head()
            count = len(found.entries)
            if not count or (count < SEGMENT_ENTRIES and found.age_s < min_age_s):
                return False
            payload = encode(segment_statement(found, head))
            envelope = seal(payload, self._key).decode()
            sha256 = Artifact.of(payload).sha256
            if self._audit_log.add_segment(head.sequence, found, envelope, sha256) != "moved":
                return True

    async def seal_rest_of_audit(self) -> None:
        """Seal what is in the audit log, however young, for as long as STOP_S."""
        with move_on_after(STOP_S):
            try:
                while await to_thread.run_sync(
                    partial(self.seal_audit, min_age_s=0.0), abandon_on_cancel=True
                ):
                    pass
            except (redis.RedisError, ChainError) as error:
                log.warning("audit log not sealed to its end", cause=str(error))

    def sign_bundle(self, explanation_id: str, digests: Mapping[str, str]) -> bytes:
        """Sign the list of the files of a bundle; digests: the sha256 of each, by name."""
        made_at = to_datetime(as_seconds(self._redis.time()))
        statement = BundleStatement(
            _type=STATEMENT_TYPE,
            subject=subjects_of(digests),
            predicateType=BUNDLE_TYPE,
            predicate=Bundle(id=explanation_id, made_at=made_at),
        )
        return seal(encode(statement), self._key)

    async def run(self) -> None:
        """Seal results and the audit log as they come, until cancelled."""
        look_at = 0.0
        while True:
            try:
                found = await to_thread.run_sync(self._seal_some, abandon_on_cancel=True)
                pause_s = 0.0 if found == PAGE else PAUSE_S
                if time.monotonic() >= look_at:
                    more = await to_thread.run_sync(self.seal_audit, abandon_on_cancel=True)
                    look_at = time.monotonic() + (0.0 if more else LOOK_S)
            except (redis.RedisError, StoreError, ChainError) as error:
                log.warning("records cannot be sealed for now", cause=str(error))
                pause_s = OUTAGE_S
            await asyncio.sleep(pause_s)

    def _seal_some(self) -> int:
        """Seal a page of results; return how many were waiting, at most PAGE."""
        ids = self._chain.unsealed(PAGE)
        for id_ in ids:
            state = read_state(self._redis, id_) if is_explanation(id_) else None
            try:
                if not (state and state.result):
                    raise NoEvidenceError("it has no result that can be read")
                self.seal(state)
            except NoEvidenceError as error:
                log.warning("explanation not recorded", id=id_, reason=str(error))
                self._chain.forget(id_)
        return len(ids)

    def _read_evidence(self, state: State) -> Evidence:
        stored = state.artifacts.evidence if state.artifacts else None
        if stored is None:
            raise NoEvidenceError("an earlier version of Shapshot computed it, without evidence")
        try:
            content = read_whole(self._store, evidence_key(state.id, str(state.result)), stored)
            return Evidence.model_validate_json(content)
        except (MissingArtifactError, DamagedArtifactError) as error:
            raise NoEvidenceError(f"its evidence is missing or damaged: {error}") from error
        except ValidationError as error:
            raise NoEvidenceError(
                "its evidence has another form than this version reads"
            ) from error


def _told(review: ReviewDocument) -> dict[str, Any]:
    return review.model_dump(include={"verdict", "label", "comment", "reviewer", "key"})
