"""Seals records: signs each result's statement and appends it to the chain, exactly once.

A worker that ends an explanation, or the cache that answers one, notes its id as unsealed in the
same step. Any API process may seal it: the script that appends to the chain accepts one record for
an explanation, and only at the end of the chain, so those that lose the race sign again or give up.
"""

import asyncio
from collections.abc import Mapping

import redis
import structlog
from anyio import to_thread
from pydantic import ValidationError

from service.api.evidence.statements import statement_of, subjects_of
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
)
from service.infra.artifacts import Artifact, read_whole
from service.jobs.hash_reader import read_state
from service.jobs.records import RecordReference, State
from service.jobs.redis_clock import as_seconds
from service.jobs.sealing import ChainError, RecordChain, is_explanation
from service.schemas.evidence import Evidence
from service.schemas.record import BUNDLE_TYPE, STATEMENT_TYPE, Bundle, BundleStatement

PAGE = 32  # ids
PAUSE_S, OUTAGE_S = 1.0, 5.0  # between looks for results, and while Redis or the store is away

log = structlog.get_logger(__name__)


class NoEvidenceError(Exception):
    """A result has no evidence that can be recorded; the message says why."""


class RecordSealer:
    """Seals results by one key. `seal` blocks and may raise RedisError, StoreError, ChainError."""

    def __init__(self, connection: redis.Redis, store: Store, key: SigningKey) -> None:
        self._redis = connection
        self._chain = RecordChain(connection)
        self._store = store
        self._key = key

    def seal(self, state: State) -> None:
        """Seal the record of an explanation with a result, unless it has one.

        Raises NoEvidenceError.
        """
        evidence = self._read_evidence(state)
        while True:
            head = self._chain.head()
            try:
                payload = encode(statement_of(state, evidence, head))
            except RecordError as error:
                raise NoEvidenceError(str(error)) from error
            envelope = seal(payload, self._key)
            sealed = Artifact.of(envelope)
            key = record_key(state.id, sealed.sha256)
            self._store.put(key, envelope)
            record = RecordReference(
                envelope=sealed,
                payload_sha256=Artifact.of(payload).sha256,
                key_id=self._key.public.kid,
                sequence=head.sequence,
            )
            tag = self._chain.add(state.id, record)
            if tag != "sealed":
                self._store.delete(key)
            if tag != "moved":
                return

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
        """Seal results as they come, until cancelled."""
        while True:
            try:
                found = await to_thread.run_sync(self._seal_some, abandon_on_cancel=True)
                pause_s = 0.0 if found == PAGE else PAUSE_S
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
