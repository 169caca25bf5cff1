"""The API's transitions: accepts, cancels and deletes explanations.

Redis holds the request, the status, the progress and the outcome; the store holds pictures and
arrays. The channel `shapshot:changes` carries the id of each explanation that changed.
"""

from collections.abc import Mapping
from types import MappingProxyType

import redis

from service.infra.settings.api import ApiSettings
from service.jobs.admission_limits import AdmissionLimits
from service.jobs.audit import audited
from service.jobs.claims import AlreadyClaimedError, IdempotencyClaim
from service.jobs.codec import encode_batch, encode_cached, encode_queued
from service.jobs.hash_reader import read_batch, read_state
from service.jobs.maintenance import grace_s
from service.jobs.records import BatchRecord, JobSpec, State
from service.jobs.redis_keys import as_text, cache_key_of, key_of
from service.jobs.rq_job import new_job_hash
from service.jobs.scripts import (
    Accept,
    Cancel,
    Delete,
    Evict,
    Hold,
    NewBatch,
    NewExplanation,
    Reserve,
    Scripts,
    Unhold,
)
from service.schemas.documents import Status

RESERVATION_S = 3600  # uploads not accepted by then are swept


class StillRunningError(Exception):
    """A running explanation cannot be deleted; `status`: running or canceling."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


class HeldError(Exception):
    """A held explanation cannot be deleted, nor its hold changed by somebody else; `id`: it."""

    def __init__(self, id_: str) -> None:
        super().__init__(id_)
        self.id = id_


class HoldInPastError(Exception):
    """A hold would end before it begins."""


class Submissions:
    """The API's operations on the explanations of one queue.

    Blocking; every call may raise `redis.RedisError`.
    """

    def __init__(self, connection: redis.Redis, settings: ApiSettings) -> None:
        self._redis = connection
        self._scripts = Scripts(connection)
        self._queue = settings.queue
        self._retention_s = settings.retention_s
        self._audit = settings.audit
        self._caps = AdmissionLimits.of(settings)
        self._weights = {"interactive": settings.interactive_share, "batch": 1}

    def reserve(self, *explanation_ids: str) -> None:
        """Register ids before their artifacts are stored."""
        self._scripts.run(Reserve(explanation_ids, RESERVATION_S))

    def accept(
        self,
        explanation_id: str,
        spec: JobSpec,
        *,
        timeout_s: int,
        earlier: Mapping[str, State] = MappingProxyType({}),
        claim: IdempotencyClaim | None = None,
    ) -> None:
        """Record the explanation and queue its job, in one step.

        Raises QueueLimitError, AlreadyClaimedError.

        earlier: by the id of a new explanation, the earlier one with the result that it reuses.
        """
        self._accept({explanation_id: spec}, earlier, claim, timeout_s=timeout_s)

    def accept_batch(
        self,
        batch_id: str,
        specs: Mapping[str, JobSpec],
        *,
        timeout_s: int,
        earlier: Mapping[str, State] = MappingProxyType({}),
        claim: IdempotencyClaim | None = None,
    ) -> None:
        """Record a batch and its explanations and queue their jobs, in one step.

        Raises QueueLimitError, AlreadyClaimedError.

        specs: by id, in upload order; each names the batch. earlier: as above.
        """
        batch = NewBatch(batch_id, encode_batch(specs))
        self._accept(specs, earlier, claim, batch, timeout_s=timeout_s)

    def _accept(
        self,
        specs: Mapping[str, JobSpec],
        earlier: Mapping[str, State],
        claim: IdempotencyClaim | None,
        batch: NewBatch | None = None,
        *,
        timeout_s: int,
    ) -> None:
        def new(id_: str, spec: JobSpec) -> NewExplanation:
            if id_ in earlier:
                return NewExplanation(id_, encode_cached(spec, earlier[id_]), None)
            job = new_job_hash(id_, queue=self._queue, timeout_s=timeout_s, connection=self._redis)
            return NewExplanation(id_, encode_queued(spec), job)

        first = next(iter(specs.values()))  # all have the same owner and priority
        waiting = [spec for id_, spec in specs.items() if id_ not in earlier]
        accept = Accept(
            queue=self._queue,
            flow=f"{first.settings.priority} {first.owner or ''}",
            cost=1 / self._weights[first.settings.priority],
            owner=first.owner,
            jobs=len(waiting),
            bytes=sum(spec.bytes for spec in waiting),
            caps=self._caps,
            retention_s=self._retention_s,
            claim=claim,
            batch=batch,
            explanations=[new(id_, spec) for id_, spec in specs.items()],
            audit=audited(self._audit),
        )
        match self._scripts.run(accept):
            case "claimed", _:
                raise AlreadyClaimedError
            case "refused", [reached, *retry_s]:
                seconds = retry_s[0] if retry_s and retry_s[0] > 0 else None
                raise self._caps.refusal(as_text(reached), accept.jobs, accept.bytes, seconds)

    def earlier(self, cache: str, owner: str | None) -> State | None:
        """Look up an explanation of this owner in the cache; None if no result can be reused."""
        first = self._redis.get(cache_key_of(cache))
        state = self.read(as_text(first)) if first else None
        same = state and state.owner == owner and state.spec and state.spec.cache == cache
        return state if state and same and state.result and state.outcome else None

    def evict_from_cache(self, explanation_id: str) -> None:
        """Remove an explanation from the cache, because artifacts are missing."""
        self._scripts.run(Evict(explanation_id))

    def exists(self, id_: str) -> bool:
        """Return whether the explanation or batch, or its tombstone, exists."""
        return bool(self._redis.exists(key_of(id_)))

    def read(self, explanation_id: str) -> State | None:
        return read_state(self._redis, explanation_id)

    def read_batch(self, batch_id: str) -> BatchRecord | None:
        return read_batch(self._redis, batch_id)

    def cancel(self, explanation_id: str) -> str | None:
        """Request cancellation; return the new status, None for an unknown explanation."""
        by = audited(self._audit)
        match self._scripts.run(Cancel(explanation_id, self._queue, self._retention_s, by)):
            case "status", [status]:
                return as_text(status)
        return None

    def delete(self, id_: str) -> list[str]:
        """Delete an explanation, or a batch with its explanations; return the deleted ids.

        Their artifacts remain to be removed. Raises StillRunningError or HeldError, and deletes
        nothing, if one of them is running or held.
        """
        by = audited(self._audit)
        tag, found = self._scripts.run(Delete(id_, self._queue, self._retention_s, by))
        if tag == "under_way":
            raise StillRunningError(Status(as_text(found[0])))
        if tag == "held":
            raise HeldError(as_text(found[0]))
        return [as_text(each) for each in found]

    def hold(
        self, explanation_id: str, by: str, reason: str, ends: float | None, *, replaces: bool
    ) -> bool:
        """Hold an explanation against expiry and deletion; False if it is gone.

        replaces: also the hold of somebody else. Raises HeldError, HoldInPastError.
        """
        until = None if ends is None else repr(ends)
        hold = Hold(explanation_id, by, reason, until, replaces, audited(self._audit))
        tag, _ = self._scripts.run(hold)
        if tag == "taken":
            raise HeldError(explanation_id)
        if tag == "past":
            raise HoldInPastError
        return tag == "held"

    def release_hold(self, explanation_id: str, by: str, *, replaces: bool) -> bool:
        """End a hold; False if there is none. It expires after the rest of its time.

        Raises HeldError.
        """
        grace = grace_s(self._retention_s)
        unhold = Unhold(explanation_id, by, replaces, grace, audited(self._audit))
        tag, _ = self._scripts.run(unhold)
        if tag == "taken":
            raise HeldError(explanation_id)
        return tag == "released"
