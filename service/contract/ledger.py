"""Where every explanation stands: its hash in Redis, and the only ways to change it.

Redis holds the request, the status, the progress and the outcome; pictures and arrays are in the
store. Both sides read the same hash; `shapshot:changes` carries the id of each one that changed.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import redis
from pydantic import BaseModel, ConfigDict

from service.contract import scripts
from service.contract.queue import new_job
from service.contract.request import ResolvedSettings
from service.contract.schema import (
    ErrorCode,
    Failure,
    ImageInfo,
    LabelMapInfo,
    ModelRef,
    Outcome,
    Status,
)
from service.contract.settings import Settings

CHANGES = "shapshot:changes"
INDEX = "shapshot:explanations"  # sorted set: id by time of creation
EXPIRY = "shapshot:expiry"  # sorted set: id by the time its artefacts may go
RESERVATION_S = 3600  # an upload that has not become an explanation by then is swept away


class LedgerError(Exception):
    """Base of the errors of this module.

    LedgerError
    ├── QueueFull   as many explanations wait as may
    └── Fenced      the attempt lost its lease; another may have begun
    """


class QueueFull(LedgerError):  # noqa: N818
    """As many explanations wait as may."""


class Fenced(LedgerError):  # noqa: N818
    """The attempt no longer owns its job: whatever it found must be dropped."""


class Order(BaseModel):
    """What was asked for; never changes after acceptance."""

    model_config = ConfigDict(frozen=True)

    settings: ResolvedSettings
    model: ModelRef
    image: ImageInfo
    label_map: LabelMapInfo | None = None


@dataclass(frozen=True)
class Count:
    """Evaluations of the model made and planned."""

    evaluations: int
    planned: int
    eta_s: float | None = None


@dataclass(frozen=True)
class State:
    """One explanation as it stands. Times are seconds since the epoch."""

    id: str
    version: int  # grows with every change
    status: Status
    created_at: float
    started_at: float | None
    finished_at: float | None
    expires_at: float | None
    attempts: int
    order: Order | None  # None once expired
    progress: Count
    outcome: Outcome | None
    result: str | None  # the attempt whose artefacts stand
    error: Failure | None


def new_id() -> str:
    return f"exp_{uuid.uuid4().hex}"


def key_of(explanation_id: str) -> str:
    return f"shapshot:explanation:{explanation_id}"


def decode(explanation_id: str, raw: Mapping[bytes | str, bytes | str]) -> State | None:
    """The state in a hash as Redis returned it; None where there is none."""
    fields = {as_text(name): as_text(value) for name, value in raw.items()}
    if "status" not in fields:
        return None
    return State(
        id=explanation_id,
        version=int(fields.get("version", 0)),
        status=Status(fields["status"]),
        created_at=float(fields["created_at"]),
        started_at=_number(fields, "started_at"),
        finished_at=_number(fields, "finished_at"),
        expires_at=_number(fields, "expires_at"),
        attempts=int(fields.get("attempts", 0)),
        order=Order.model_validate_json(fields["order"]) if "order" in fields else None,
        progress=Count(**json.loads(fields.get("progress", '{"evaluations": 0, "planned": 0}'))),
        outcome=Outcome.model_validate_json(fields["outcome"]) if "outcome" in fields else None,
        result=fields.get("result"),
        error=Failure.model_validate_json(fields["error"]) if "error" in fields else None,
    )


def _number(fields: Mapping[str, str], name: str) -> float | None:
    return float(fields[name]) if name in fields else None


class Ledger:
    """The transitions, for one queue. Blocking; every call may raise `redis.RedisError`."""

    def __init__(
        self, connection: redis.Redis, *, queue: str, lease_s: int, retention_s: int
    ) -> None:
        self._redis = connection
        self._queue = queue
        self._lease_s = lease_s
        self._retention_s = retention_s
        self._scripts: dict[str, Any] = {}

    @classmethod
    def of(cls, connection: redis.Redis, settings: Settings) -> Self:
        """The ledger of a process with these settings."""
        return cls(
            connection,
            queue=settings.queue,
            lease_s=settings.lease_s,
            retention_s=settings.retention_s,
        )

    def _run(self, script: str, explanation_id: str, *arguments: object) -> str | None:
        registered = self._scripts.setdefault(script, self._redis.register_script(script))
        answer = registered(keys=[key_of(explanation_id)], args=list(arguments))
        return answer.decode() if isinstance(answer, bytes) else answer

    # --- The API's side

    def reserve(self, explanation_id: str) -> None:
        """Announce that artefacts of this id are about to be stored."""
        self._redis.zadd(EXPIRY, {explanation_id: time.time() + RESERVATION_S})

    def accept(self, explanation_id: str, order: Order, *, timeout_s: int, longest: int) -> None:
        """Record the explanation and queue its job, in one step. Raises QueueFull."""
        now = time.time()
        fields = {"status": Status.QUEUED.value, "created_at": now, "attempts": 0}
        pairs = _flat({**fields, "order": order.model_dump_json()})
        job = new_job(
            explanation_id, queue=self._queue, timeout_s=timeout_s, connection=self._redis
        )
        head = (explanation_id, self._queue, longest, now, len(pairs) // 2)
        answer = self._run(scripts.ACCEPT, explanation_id, *head, *pairs, *_flat(job.to_dict()))
        if answer == "full":
            raise QueueFull(f"{longest} explanations are waiting, as many as may")

    def read(self, explanation_id: str) -> State | None:
        return decode(explanation_id, self._redis.hgetall(key_of(explanation_id)))

    def cancel(self, explanation_id: str) -> str | None:
        """Ask for a cancel; the status it has now, None where there is no such explanation."""
        now = time.time()
        return self._run(
            scripts.CANCEL, explanation_id, explanation_id, self._queue, now, self._expiry(now)
        )

    def delete(self, explanation_id: str) -> str:
        """`deleted` or `missing`, or the status that forbids it. Artefacts remain to be removed."""
        return str(self._run(scripts.DELETE, explanation_id, explanation_id, self._queue))

    # --- The worker's side

    def begin(self, explanation_id: str) -> str | None:
        """Take the job: the attempt's token; None where it was canceled, ended or taken."""
        attempt = uuid.uuid4().hex
        owned = (explanation_id, self._queue, attempt, time.time(), self._lease_s)
        answer = self._run(scripts.BEGIN, explanation_id, *owned)
        return attempt if answer == "begun" else None

    def tick(self, explanation_id: str, attempt: str, count: Count | None) -> bool:
        """Renew the lease and report progress; True where a cancel was asked for. Raises Fenced."""
        progress = json.dumps(vars(count)) if count else ""
        owned = (explanation_id, self._queue, attempt, time.time(), self._lease_s)
        answer = self._run(scripts.TICK, explanation_id, *owned, progress)
        if answer == "fenced":
            raise Fenced(explanation_id)
        return answer == "cancel"

    def finish(
        self,
        explanation_id: str,
        attempt: str,
        status: Status,
        *,
        outcome: Outcome | None = None,
        error: Failure | None = None,
        count: Count | None = None,
    ) -> None:
        """End it, if this attempt still owns it: check and write are one step. Raises Fenced."""
        now = time.time()
        texts = (
            outcome.model_dump_json() if outcome else "",
            error.model_dump_json() if error else "",
            json.dumps(vars(count)) if count else "",
        )
        owned = (explanation_id, self._queue, attempt, now, self._expiry(now))
        if self._run(scripts.FINISH, explanation_id, *owned, status.value, *texts) == "fenced":
            raise Fenced(explanation_id)

    def release(self, explanation_id: str, attempt: str) -> None:
        """Give the job back to the front of the queue. Raises Fenced."""
        now = time.time()
        owned = (explanation_id, self._queue, attempt, now, self._expiry(now))
        if self._run(scripts.RELEASE, explanation_id, *owned) == "fenced":
            raise Fenced(explanation_id)

    # --- Housekeeping, safe from any number of processes at once

    def reap(self, *, max_attempts: int) -> int:
        """Put back, or give up, the jobs of silent workers; how many."""
        now = time.time()
        lost = Failure(
            code=ErrorCode.WORKER_LOST,
            detail=f"its worker died {max_attempts} times; it is not tried again",
        )
        limits = (self._lease_s, max_attempts, self._expiry(now), lost.model_dump_json())
        return int(self._run(scripts.REAP, "", self._queue, now, *limits) or 0)

    def expired(self, limit: int = 100) -> list[str]:
        """Ids whose artefacts may go: expired, deleted, or never accepted."""
        found = self._redis.zrangebyscore(EXPIRY, 0, time.time(), start=0, num=limit)
        return [as_text(member) for member in found]

    def bury(self, explanation_id: str, *, tombstone_s: int) -> None:
        """Forget an explanation whose artefacts are gone, all but that it was there."""
        self._run(scripts.BURY, explanation_id, explanation_id, tombstone_s)

    def _expiry(self, now: float) -> float:
        return now + self._retention_s


def as_text(value: object) -> str:
    """What Redis returned, as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _flat(mapping: Mapping[str, Any]) -> list[Any]:
    return [part for pair in mapping.items() for part in pair]
