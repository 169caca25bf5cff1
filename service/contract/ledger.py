"""Where every explanation stands: its hash in Redis, and the only ways to change it.

Redis holds the request, the status, the progress and the outcome; pictures and arrays are in the
store. Both sides read the same hash; `shapshot:changes` carries the id of each one that changed.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Any, Self

import redis
import structlog

from service.contract import scripts
from service.contract.artefacts import Artefacts
from service.contract.hashes import (
    Hash,
    decode,
    decode_batch,
    empty_for,
    encode_batch,
    encode_count,
    encode_found,
    encode_queued,
)
from service.contract.names import EXPIRY, as_text, is_id, key_of
from service.contract.outcome import Outcome
from service.contract.queue import new_job
from service.contract.records import Batch, Claim, Count, Order, State
from service.contract.room import UNLIMITED, Caps
from service.contract.schema import ErrorCode, Failure, Status
from service.contract.settings import Settings

RESERVATION_S = 3600  # an upload that has not become an explanation by then is swept away

log = structlog.get_logger(__name__)


class Claimed(Exception):  # noqa: N818
    """Something was accepted by the same claim before."""


class UnderWay(Exception):  # noqa: N818
    """What runs cannot be deleted; `status`: running or canceling."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


class Fenced(Exception):  # noqa: N818
    """The attempt no longer owns its job: whatever it found must be dropped."""


@dataclass(frozen=True)
class Work:
    """What an attempt had the model do."""

    evaluations: int = 0
    batches: int = 0  # calls of the model
    slots: int = 0  # pictures that these calls had room for
    model_s: float = 0.0
    masking_s: float = 0.0  # added up over threads


@dataclass(frozen=True)
class Tick:
    """A sign of life of an attempt; where there is a new count, with it."""

    id: str
    attempt: str
    count: Count | None = None


class Standing(StrEnum):
    """What an attempt hears when it ticks."""

    OWNED = "owned"
    CANCEL = "cancel"  # its own still, but a cancel was asked for
    FENCED = "fenced"  # it lost its lease


class Ledger:
    """The transitions, for one queue. Blocking; every call may raise `redis.RedisError`."""

    def __init__(
        self,
        connection: redis.Redis,
        *,
        queue: str,
        lease_s: int,
        retention_s: int,
        caps: Caps = UNLIMITED,
        interactive_share: int = 4,
    ) -> None:
        self._redis = connection
        self._queue = queue
        self._lease_s = lease_s
        self._retention_s = retention_s
        self._caps = caps
        self._weights = {"interactive": interactive_share, "batch": 1}
        self._script: Callable[[str], Any] = cache(connection.register_script)

    @classmethod
    def of(cls, connection: redis.Redis, settings: Settings) -> Self:
        """The ledger of a process with these settings."""
        return cls(
            connection,
            queue=settings.queue,
            lease_s=settings.lease_s,
            retention_s=settings.retention_s,
            caps=Caps.of(settings),
            interactive_share=settings.interactive_share,
        )

    def _run(self, script: str, explanation_id: str, *arguments: object) -> str | None:
        answer = self._call(script, explanation_id, *arguments)
        return answer.decode() if isinstance(answer, bytes) else answer

    def _call(self, script: str, explanation_id: str, *arguments: object) -> Any:
        return self._script(script)(keys=[key_of(explanation_id)], args=list(arguments))

    # --- The API's side

    def reserve(self, *explanation_ids: str) -> None:
        """Announce that artefacts of these ids are about to be stored."""
        self._run(scripts.RESERVE, explanation_ids[0], RESERVATION_S, *explanation_ids)

    def accept(
        self,
        explanation_id: str,
        order: Order,
        *,
        timeout_s: int,
        earlier: Mapping[str, State] = MappingProxyType({}),
        claim: Claim | None = None,
    ) -> None:
        """Record the explanation and queue its job, in one step. Raises NoRoom, Claimed.

        earlier: by id, an explanation that has its result already; then it succeeds at once.
        """
        self._accept({explanation_id: order}, earlier, claim, timeout_s=timeout_s)

    def accept_batch(
        self,
        batch_id: str,
        orders: Mapping[str, Order],
        *,
        timeout_s: int,
        earlier: Mapping[str, State] = MappingProxyType({}),
        claim: Claim | None = None,
    ) -> None:
        """Record a batch and its explanations and queue their jobs, in one step.

        Raises NoRoom, Claimed.

        orders: by id, in the order of upload; each names the batch. earlier: as above.
        """
        record = encode_batch(orders)
        head = (batch_id, len(record), 0, *_flat(record))
        self._accept(orders, earlier, claim, head, timeout_s=timeout_s)

    def _accept(
        self,
        orders: Mapping[str, Order],
        earlier: Mapping[str, State],
        claim: Claim | None,
        batch: Sequence[object] = (),
        *,
        timeout_s: int,
    ) -> None:
        caps = self._caps
        first = next(iter(orders.values()))  # all are of one owner and one priority
        flow = f"{first.settings.priority} {first.owner or ''}"
        cost = 1 / self._weights[first.settings.priority]
        jobs = {id_: order for id_, order in orders.items() if id_ not in earlier}
        size = sum(order.bytes for order in jobs.values())
        head = (self._queue, flow, cost, first.owner or "", len(jobs), size)
        limits = (caps.jobs, caps.bytes, caps.owner_jobs, caps.owner_bytes, self._retention_s)
        entries = [
            self._found(id_, order, earlier[id_])
            if id_ in earlier
            else self._entry(id_, order, timeout_s)
            for id_, order in orders.items()
        ]
        claimed = (claim.key, claim.text, claim.seconds) if claim else ("", "", 0)
        arguments = (*head, *limits, *claimed, *batch, *chain.from_iterable(entries))
        answer, *retry_s = self._call(scripts.ACCEPT, next(iter(orders)), *arguments)
        if as_text(answer) == "claimed":
            raise Claimed
        if as_text(answer) != "accepted":
            seconds = retry_s[0] if retry_s[0] > 0 else None
            raise caps.refusal(as_text(answer), len(jobs), size, seconds)

    def _entry(self, explanation_id: str, order: Order, timeout_s: int) -> tuple[object, ...]:
        """What ACCEPT writes for one explanation: the fields of its hash and of RQ's job."""
        fields = encode_queued(order)
        job = new_job(
            explanation_id, queue=self._queue, timeout_s=timeout_s, connection=self._redis
        ).to_dict()
        return (explanation_id, len(fields), len(job), *_flat(fields), *_flat(job))

    def _found(self, explanation_id: str, order: Order, earlier: State) -> tuple[object, ...]:
        """The same for one that has its result already."""
        fields = encode_found(order, earlier)
        return (explanation_id, len(fields), 0, *_flat(fields))

    def earlier(self, cache: str, owner: str | None) -> State | None:
        """The explanation of this owner whose result answers such a request, where there is one."""
        first = self._redis.get(f"shapshot:cache:{cache}")
        state = self.read(as_text(first)) if first else None
        same = state and state.owner == owner and state.order and state.order.cache == cache
        return state if state and same and state.result and state.outcome else None

    def withdraw(self, explanation_id: str) -> None:
        """Let it answer no other request: its artefacts are not all there."""
        self._run(scripts.WITHDRAW, explanation_id, explanation_id)

    def exists(self, id_: str) -> bool:
        """Whether there is, or was until lately, such an explanation or batch."""
        return bool(self._redis.exists(key_of(id_)))

    def read(self, explanation_id: str) -> State | None:
        return decode(explanation_id, self._hash(explanation_id))

    def read_batch(self, batch_id: str) -> Batch | None:
        return decode_batch(batch_id, self._hash(batch_id))

    def _hash(self, id_: str) -> Hash:
        try:
            return self._redis.hgetall(key_of(id_))
        except redis.ResponseError as error:
            return empty_for(id_, error)

    def cancel(self, explanation_id: str) -> str | None:
        """Ask for a cancel; the status it has now, None where there is no such explanation."""
        arguments = (explanation_id, self._queue, self._retention_s)
        return self._run(scripts.CANCEL, explanation_id, *arguments)

    def delete(self, id_: str) -> list[str]:
        """Delete an explanation, or a batch with all of its own; the ids that went.

        Their artefacts remain to be removed. Raises UnderWay where one of them runs: then all stay.
        """
        answer = self._call(scripts.DELETE, id_, id_, self._queue, self._retention_s)
        if isinstance(answer, list):
            return [as_text(each) for each in answer]
        raise UnderWay(Status(as_text(answer)))

    # --- The worker's side

    def begin(self, explanation_id: str) -> str | None:
        """Take the job: the attempt's token; None where it was canceled, ended or taken."""
        attempt = uuid.uuid4().hex
        owned = (explanation_id, self._queue, attempt, self._lease_s)
        answer = self._run(scripts.BEGIN, explanation_id, *owned)
        return attempt if answer == "begun" else None

    def fresh_siblings(self, state: State) -> list[str]:
        """Those of its batch that wait and have never been begun, in the order of upload."""
        batch_id = state.order.batch if state.order else None
        batch = self.read_batch(batch_id) if batch_id else None
        states = [self.read(member) for member in batch.members] if batch else []
        return [
            each.id
            for each in states
            if each and batch and batch.has(each)
            if each.status is Status.QUEUED and not each.attempts
        ]

    def tick(self, *ticks: Tick) -> list[Standing]:
        """Renew the leases of attempts and report their progress; how each stands."""
        arguments = [
            part for tick in ticks for part in (tick.id, tick.attempt, encode_count(tick.count))
        ]
        answers = self._call(scripts.TICK, ticks[0].id, self._queue, self._lease_s, *arguments)
        return [Standing(as_text(answer)) for answer in answers]

    def finish(
        self,
        explanation_id: str,
        attempt: str,
        status: Status,
        *,
        outcome: Outcome | None = None,
        artefacts: Artefacts | None = None,
        error: Failure | None = None,
        count: Count | None = None,
        work: Work | None = None,
    ) -> None:
        """End it, if this attempt still owns it: check and write are one step. Raises Fenced.

        artefacts: what was stored, for readers to compare. work: added to the totals in the same
        step.
        """
        texts = (
            outcome.model_dump_json() if outcome else "",
            artefacts.model_dump_json() if artefacts else "",
            error.model_dump_json() if error else "",
            encode_count(count),
            *_flat(vars(work) if work else {}),
        )
        owned = (explanation_id, self._queue, attempt, self._retention_s)
        if self._run(scripts.FINISH, explanation_id, *owned, status.value, *texts) == "fenced":
            raise Fenced(explanation_id)

    def release(self, explanation_id: str, attempt: str, *, counts: bool = False) -> None:
        """Give the job back to the front of the queue. Raises Fenced.

        counts: that it was begun stays among its attempts, and so it runs alone the next time.
        """
        owned = (explanation_id, self._queue, attempt, self._retention_s)
        if self._run(scripts.RELEASE, explanation_id, *owned, int(counts)) == "fenced":
            raise Fenced(explanation_id)

    # --- Housekeeping, safe from any number of processes at once

    def reap(self, *, max_attempts: int) -> int:
        """Put back, or give up, the jobs of silent workers; how many."""
        lost = Failure(
            code=ErrorCode.WORKER_LOST,
            detail=f"its worker died {max_attempts} times; it is not tried again",
        )
        limits = (self._lease_s, max_attempts, self._retention_s, lost.model_dump_json())
        return int(self._run(scripts.REAP, "", self._queue, *limits) or 0)

    def expired(self, limit: int = 100) -> list[str]:
        """Ids whose artefacts may go: expired, deleted, or never accepted."""
        found: list[Any] = self._call(scripts.EXPIRED, "", limit)
        strange = [member for member in found if not is_id(as_text(member))]
        if strange:  # none of ours: nothing is removed by such a name
            log.warning("strange ids are not swept", count=len(strange))
            self._redis.zrem(EXPIRY, *strange)
        return [as_text(member) for member in found if member not in strange]

    def bury(self, explanation_id: str, *, tombstone_s: int) -> None:
        """Forget an explanation whose artefacts are gone, all but that it was there."""
        self._run(scripts.BURY, explanation_id, explanation_id, tombstone_s)


def _flat(mapping: Mapping[str, Any]) -> list[Any]:
    return [part for pair in mapping.items() for part in pair]
