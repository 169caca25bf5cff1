"""The worker's transitions: begins, renews, finishes and releases explanations."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import redis

from service.infra.artifacts import AttemptArtifacts
from service.infra.settings.shared import SharedSettings
from service.jobs.codec import encode_count
from service.jobs.facets import facets_of, in_words
from service.jobs.hash_reader import read_batch, read_state
from service.jobs.records import Answer, ProgressCount, State
from service.jobs.redis_keys import as_text
from service.jobs.scripts import (
    Begin,
    EncodedPreview,
    Finish,
    Release,
    Renew,
    Renewal,
    Scripts,
)
from service.schemas.documents import Failure, Status
from service.schemas.results import Outcome

PREVIEW_S = 600  # until a preview expires; the end of its attempt removes it


class FencedError(Exception):
    """The attempt no longer owns its job; its result must be discarded."""


@dataclass(frozen=True)
class ModelUsage:
    """Model usage of one attempt."""

    evaluations: int = 0
    batches: int = 0  # calls of the model
    slots: int = 0  # total capacity of these batches, in pictures
    model_s: float = 0.0
    masking_s: float = 0.0  # summed over threads


@dataclass(frozen=True)
class Heartbeat:
    """A heartbeat of an attempt, with its progress if that has changed, and a new preview."""

    id: str
    attempt: str
    count: ProgressCount | None = None
    preview: EncodedPreview | None = None


class LeaseStatus(StrEnum):
    """The reply to the heartbeat of an attempt."""

    OWNED = "owned"
    WATCHED = "watched"  # owns its job; a client watches its previews
    CANCEL = "cancel"  # still owns its job; cancellation was requested
    FENCED = "fenced"  # lost its lease


class Leases:
    """The worker's operations on the explanations of one queue.

    Blocking; every call may raise `redis.RedisError`.
    """

    def __init__(self, connection: redis.Redis, settings: SharedSettings) -> None:
        self._redis = connection
        self._scripts = Scripts(connection)
        self._settings = settings

    def read(self, explanation_id: str) -> State | None:
        return read_state(self._redis, explanation_id)

    def begin(self, explanation_id: str) -> str | None:
        """Begin the job; return the attempt's token, None if it was canceled, ended or taken."""
        attempt = uuid.uuid4().hex
        queue, lease_s = self._settings.queue, self._settings.lease_s
        tag, _ = self._scripts.run(Begin(explanation_id, queue, attempt, lease_s))
        return attempt if tag == "begun" else None

    def fresh_siblings(self, state: State) -> list[str]:
        """Return the queued explanations of its batch that never began, in upload order."""
        batch_id = state.spec.batch if state.spec else None
        batch = read_batch(self._redis, batch_id) if batch_id else None
        states = [self.read(member) for member in batch.members] if batch else []
        return [
            each.id
            for each in states
            if each and batch and batch.has(each)
            if each.status is Status.QUEUED and not each.attempts
        ]

    def heartbeat(self, *heartbeats: Heartbeat) -> list[LeaseStatus]:
        """Renew the leases of attempts, report their progress and store their previews.

        Returns the status of each.
        """
        renewals = [
            Renewal(each.id, each.attempt, encode_count(each.count) or None, each.preview)
            for each in heartbeats
        ]
        queue, lease_s = self._settings.queue, self._settings.lease_s
        _, answers = self._scripts.run(Renew(queue, lease_s, PREVIEW_S, renewals))
        return [LeaseStatus(as_text(answer)) for answer in answers]

    def finish(
        self,
        explanation_id: str,
        attempt: str,
        status: Status,
        *,
        outcome: Outcome | None = None,
        artifacts: AttemptArtifacts | None = None,
        answer: Answer | None = None,
        error: Failure | None = None,
        count: ProgressCount | None = None,
        work: ModelUsage | None = None,
    ) -> None:
        """Finish the job if this attempt still owns it, atomically. Raises FencedError.

        artifacts: sizes and digests of the stored artifacts. work: added to the totals in the same
        step.
        """
        spent: Mapping[str, float] = vars(work) if work else {}
        state = self.read(explanation_id) if outcome else None
        spec = state.spec if state else None
        finish = Finish(
            explanation_id,
            self._settings.queue,
            attempt,
            self._settings.retention_s,
            status=status.value,
            outcome=outcome.model_dump_json() if outcome else None,
            facets=in_words(facets_of(status, spec, outcome)) if spec else None,
            artifacts=artifacts.model_dump_json() if artifacts else None,
            error=error.model_dump_json() if error else None,
            progress=encode_count(count) or None,
            work=spent,
            answer=answer.model_dump_json() if answer else None,
        )
        if self._scripts.run(finish)[0] == "fenced":
            raise FencedError(explanation_id)

    def release(self, explanation_id: str, attempt: str, *, counts: bool = False) -> None:
        """Requeue the job at the front. Raises FencedError.

        counts: keep this start in the attempt count, so that the job runs alone the next time.
        """
        queue, retention_s = self._settings.queue, self._settings.retention_s
        release = Release(explanation_id, queue, attempt, retention_s, counts)
        if self._scripts.run(release)[0] == "fenced":
            raise FencedError(explanation_id)
