"""Where every explanation stands: its hash in Redis, and the only ways to change it.

Redis holds the request, the status, the progress and the outcome; pictures and arrays are in the
store. Both sides read the same hash; `shapshot:changes` carries the id of each one that changed.
"""

import json
import math
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeVar

import redis
import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import from_json

from service.contract import scripts
from service.contract.queue import EXPLANATION_ID, new_job
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
INDEX = "shapshot:explanations"  # sorted set: id by time of creation; see index_of
EXPIRY = "shapshot:expiry"  # sorted set: id by the time its artefacts may go
RESERVATION_S = 3600  # an upload that has not become an explanation by then is swept away
READ_OFTEN = 512  # explanations that are kept as they were read last

BATCH_ID = re.compile(r"batch_[0-9a-f]{32}")

# What is read from Redis is believed as far as it has these types.
Moment = Annotated[float, Field(ge=0, lt=253402300800)]  # seconds since the epoch, to year 9999
Number = Annotated[int, Field(ge=0, lt=2**63)]
ExplanationId = Annotated[str, Field(pattern=f"^{EXPLANATION_ID.pattern}$")]
Token = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]

T = TypeVar("T")
log = structlog.get_logger(__name__)


class LedgerError(Exception):
    """Base of the errors of this module.

    LedgerError
    ├── NoRoom      as much waits as may
    │   ├── QueueFull   of everybody's
    │   └── ShareFull   of this owner's
    └── Fenced      the attempt lost its lease; another may have begun
    """


class NoRoom(LedgerError):  # noqa: N818
    """As much waits as may; `retry_s`: when there may be room, None where nothing tells."""

    def __init__(self, message: str, retry_s: int | None) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class QueueFull(NoRoom):
    """As much waits as may in all."""


class ShareFull(NoRoom):
    """As much of this owner's waits as may."""


class Fenced(LedgerError):  # noqa: N818
    """The attempt no longer owns its job: whatever it found must be dropped."""


@dataclass(frozen=True)
class Caps:
    """What may wait at most: explanations, and bytes uploaded for them."""

    jobs: float = math.inf
    bytes: float = math.inf
    owner_jobs: float = math.inf  # of one owner
    owner_bytes: float = math.inf

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.max_queued,
            settings.max_queued_bytes,
            settings.max_queued_per_key,
            settings.max_queued_bytes_per_key,
        )


class Order(BaseModel):
    """What was asked for; never changes after acceptance."""

    model_config = ConfigDict(frozen=True)

    settings: ResolvedSettings
    model: ModelRef
    image: ImageInfo
    label_map: LabelMapInfo | None = None
    batch: str | None = None  # the id of the batch it is one of
    owner: str | None = None  # the name of the key that asked; None where there are no keys
    cache: str | None = None  # what all requests have in common that its result answers
    request_id: str | None = None  # of the HTTP request that asked for it
    traceparent: str | None = None  # of that request's span, where traces are kept

    @property
    def bytes(self) -> int:
        """Of what was uploaded for it."""
        return self.image.bytes + (self.label_map.bytes if self.label_map else 0)


@dataclass(frozen=True)
class Batch:
    """Explanations asked for together, by one settings; each goes its own way."""

    id: str
    created_at: Moment
    members: tuple[ExplanationId, ...]  # in the order of upload; none once expired
    owner: str | None  # the name of the key that asked


@dataclass(frozen=True)
class Count:
    """Evaluations of the model made and planned."""

    evaluations: Number
    planned: Number
    eta_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


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


@dataclass(frozen=True, eq=False)
class State:
    """One explanation as it stands, by identity: see decode."""

    id: ExplanationId
    version: Number  # grows with every change
    status: Status
    owner: str | None  # known of what has expired, too
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None
    attempts: Number
    order: Order | None  # None once expired
    progress: Count
    outcome: Outcome | None
    result: Token | None  # the attempt whose artefacts stand
    error: Failure | None
    cached_from: ExplanationId | None  # the explanation that found it, where no worker did


def new_id() -> str:
    return f"exp_{uuid.uuid4().hex}"


def new_batch_id() -> str:
    return f"batch_{uuid.uuid4().hex}"


def is_id(text: str) -> bool:
    """Whether it is the id of an explanation or of a batch."""
    return bool(EXPLANATION_ID.fullmatch(text) or BATCH_ID.fullmatch(text))


def key_of(id_: str) -> str:
    """The hash of an explanation, or of a batch."""
    return f"shapshot:explanation:{id_}"


def index_of(owner: str | None) -> str:
    """The sorted set, id by time of creation, of an owner's explanations; None: of everybody's."""
    return INDEX if owner is None else f"{INDEX}:{owner}"


Hash = Mapping[bytes | str, bytes | str]  # as Redis returns it

_STATE, _BATCH = TypeAdapter(State), TypeAdapter(Batch)
_ABSENT = dict.fromkeys(State.__dataclass_fields__) | {"version": 0, "attempts": 0}


def decode(explanation_id: str, raw: Hash) -> State | None:
    """The state in a hash; None where there is none, or one that this ledger never wrote."""
    return _decoded(explanation_id, tuple(raw.items()))


@lru_cache(READ_OFTEN)
def _decoded(explanation_id: str, raw: tuple[tuple[Any, Any], ...]) -> State | None:
    """The same object for the same hash: of many who look, only the first has it parsed."""
    fields = _texts(dict(raw))
    if "status" not in fields:
        return None
    return _checked(_STATE, explanation_id, lambda: _ABSENT | fields | _parsed(fields))


def decode_batch(batch_id: str, raw: Hash) -> Batch | None:
    """The batch in a hash; None where there is none, or one that this ledger never wrote."""
    fields = _texts(raw)
    if not fields:
        return None
    members = fields.get("members", "").split()
    return _checked(_BATCH, batch_id, lambda: {"owner": None} | fields | {"members": members})


def _checked(kind: TypeAdapter[T], id_: str, read: Callable[[], dict[str, Any]]) -> T | None:
    """Whoever can write to Redis must not be able to make a reader fail."""
    try:
        return kind.validate_python(read() | {"id": id_})
    except ValueError as error:  # pydantic's is one
        log.warning("not a record of ours", id=id_, reason=type(error).__name__)
        return None


def _parsed(fields: Mapping[str, str]) -> dict[str, Any]:
    """Those that are JSON. Raises ValueError."""
    names = ("order", "outcome", "error", "progress")
    found = {name: from_json(fields[name]) for name in names if name in fields}
    return {"progress": Count(0, 0)} | found


def empty_for(id_: str, error: redis.ResponseError) -> Hash:
    """What is read of a key that somebody made no hash. Raises the error where it is another."""
    if not str(error).startswith("WRONGTYPE"):
        raise error
    log.warning("not a record of ours", id=id_, reason=str(error))
    return {}


def _texts(raw: Hash) -> dict[str, str]:
    return {as_text(name): as_text(value) for name, value in raw.items()}


class Ledger:
    """The transitions, for one queue. Blocking; every call may raise `redis.RedisError`."""

    def __init__(
        self,
        connection: redis.Redis,
        *,
        queue: str,
        lease_s: int,
        retention_s: int,
        caps: Caps = Caps(),
        interactive_share: int = 4,
    ) -> None:
        self._redis = connection
        self._queue = queue
        self._lease_s = lease_s
        self._retention_s = retention_s
        self._caps = caps
        self._weights = {"interactive": interactive_share, "batch": 1}
        self._scripts: dict[str, Any] = {}

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
        registered = self._scripts.setdefault(script, self._redis.register_script(script))
        return registered(keys=[key_of(explanation_id)], args=list(arguments))

    # --- The API's side

    def reserve(self, *explanation_ids: str) -> None:
        """Announce that artefacts of these ids are about to be stored."""
        by = time.time() + RESERVATION_S
        self._redis.zadd(EXPIRY, dict.fromkeys(explanation_ids, by))

    def accept(
        self,
        explanation_id: str,
        order: Order,
        *,
        timeout_s: int,
        earlier: Mapping[str, State] = MappingProxyType({}),
    ) -> None:
        """Record the explanation and queue its job, in one step. Raises NoRoom.

        earlier: by id, an explanation that has its result already; then it succeeds at once.
        """
        self._accept({explanation_id: order}, earlier, timeout_s=timeout_s)

    def accept_batch(
        self,
        batch_id: str,
        orders: Mapping[str, Order],
        *,
        timeout_s: int,
        earlier: Mapping[str, State] = MappingProxyType({}),
    ) -> None:
        """Record a batch and its explanations and queue their jobs, in one step. Raises NoRoom.

        orders: by id, in the order of upload; each names the batch. earlier: as above.
        """
        owner = next(iter(orders.values())).owner
        record = {"created_at": time.time(), "members": " ".join(orders), **_given(owner=owner)}
        head = (batch_id, len(record), 0, *_flat(record))
        self._accept(orders, earlier, head, timeout_s=timeout_s)

    def _accept(
        self,
        orders: Mapping[str, Order],
        earlier: Mapping[str, State],
        batch: Sequence[object] = (),
        *,
        timeout_s: int,
    ) -> None:
        now, caps = time.time(), self._caps
        first = next(iter(orders.values()))  # all are of one owner and one priority
        flow = f"{first.settings.priority} {first.owner or ''}"
        cost = 1 / self._weights[first.settings.priority]
        jobs = {id_: order for id_, order in orders.items() if id_ not in earlier}
        size = sum(order.bytes for order in jobs.values())
        head = (self._queue, now, flow, cost, first.owner or "", len(jobs), size)
        limits = (caps.jobs, caps.bytes, caps.owner_jobs, caps.owner_bytes, self._expiry(now))
        entries = [
            self._found(id_, order, now, earlier[id_])
            if id_ in earlier
            else self._entry(id_, order, now, timeout_s)
            for id_, order in orders.items()
        ]
        arguments = (*head, *limits, *batch, *chain.from_iterable(entries))
        answer, *retry_s = self._call(scripts.ACCEPT, next(iter(orders)), *arguments)
        if as_text(answer) != "accepted":
            raise self._no_room(as_text(answer), jobs, size, *retry_s)

    def _no_room(self, whose: str, orders: Mapping[str, Order], size: int, retry_s: int) -> NoRoom:
        caps, seconds = self._caps, retry_s if retry_s > 0 else None
        more = f"there is no room for {len(orders)} more, of {size} bytes"
        if whose == "owner":
            limits = (
                f"{caps.owner_jobs} explanations of a key may wait, of {caps.owner_bytes} bytes"
            )
            return ShareFull(f"{limits}; {more}", seconds)
        return QueueFull(
            f"{caps.jobs} explanations may wait, of {caps.bytes} bytes; {more}", seconds
        )

    def _entry(
        self, explanation_id: str, order: Order, now: float, timeout_s: int
    ) -> tuple[object, ...]:
        """What ACCEPT writes for one explanation: the fields of its hash and of RQ's job."""
        fields = {"status": Status.QUEUED.value, **_fields(order, now)}
        job = new_job(
            explanation_id, queue=self._queue, timeout_s=timeout_s, connection=self._redis
        ).to_dict()
        return (explanation_id, len(fields), len(job), *_flat(fields), *_flat(job))

    def _found(
        self, explanation_id: str, order: Order, now: float, earlier: State
    ) -> tuple[object, ...]:
        """The same for one that has its result already."""
        fields = {
            "status": Status.SUCCEEDED.value,
            **_fields(order, now),
            "finished_at": now,
            "expires_at": self._expiry(now),
            "progress": _json(earlier.progress),
            "outcome": earlier.outcome.model_dump_json() if earlier.outcome else "",
            "result": earlier.result,
            "cached_from": earlier.id,
        }
        return (explanation_id, len(fields), 0, *_flat(fields))

    def earlier(self, cache: str) -> State | None:
        """The explanation whose result answers such a request, where there is one."""
        first = self._redis.get(f"shapshot:cache:{cache}")
        state = self.read(as_text(first)) if first else None
        return state if state and state.result and state.outcome else None

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
        now = time.time()
        return self._run(
            scripts.CANCEL, explanation_id, explanation_id, self._queue, now, self._expiry(now)
        )

    def delete(self, *ids: str) -> str:
        """`deleted` or `missing`, or the status of one that forbids it for all of them.

        Artefacts remain to be removed. A batch is deleted by its explanations' ids and its own.
        """
        return str(self._run(scripts.DELETE, ids[0], self._queue, self._expiry(time.time()), *ids))

    # --- The worker's side

    def begin(self, explanation_id: str) -> str | None:
        """Take the job: the attempt's token; None where it was canceled, ended or taken."""
        attempt = uuid.uuid4().hex
        owned = (explanation_id, self._queue, attempt, time.time(), self._lease_s)
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
            if each and each.status is Status.QUEUED and not each.attempts
        ]

    def tick(self, *ticks: Tick) -> list[Standing]:
        """Renew the leases of attempts and report their progress; how each stands."""
        arguments = [part for tick in ticks for part in (tick.id, tick.attempt, _json(tick.count))]
        head = (self._queue, time.time(), self._lease_s)
        answers = self._call(scripts.TICK, ticks[0].id, *head, *arguments)
        return [Standing(as_text(answer)) for answer in answers]

    def finish(
        self,
        explanation_id: str,
        attempt: str,
        status: Status,
        *,
        outcome: Outcome | None = None,
        error: Failure | None = None,
        count: Count | None = None,
        work: Work | None = None,
    ) -> None:
        """End it, if this attempt still owns it: check and write are one step. Raises Fenced.

        work: added to the totals in the same step.
        """
        now = time.time()
        texts = (
            outcome.model_dump_json() if outcome else "",
            error.model_dump_json() if error else "",
            _json(count),
            *_flat(vars(work) if work else {}),
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
        found: list[Any] = self._redis.zrangebyscore(EXPIRY, 0, time.time(), start=0, num=limit)
        strange = [member for member in found if not is_id(as_text(member))]
        if strange:  # none of ours: nothing is removed by such a name
            log.warning("strange ids are not swept", count=len(strange))
            self._redis.zrem(EXPIRY, *strange)
        return [as_text(member) for member in found if member not in strange]

    def bury(self, explanation_id: str, *, tombstone_s: int) -> None:
        """Forget an explanation whose artefacts are gone, all but that it was there."""
        self._run(scripts.BURY, explanation_id, explanation_id, tombstone_s)

    def _expiry(self, now: float) -> float:
        return now + self._retention_s


def as_text(value: object) -> str:
    """What Redis returned, as text; what is no text becomes one that is nobody's name."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _json(count: Count | None) -> str:
    return json.dumps(vars(count)) if count else ""


def _fields(order: Order, now: float) -> dict[str, object]:
    """Of the hash of a new explanation, but for how it stands."""
    return {
        "created_at": now,
        "attempts": 0,
        "order": order.model_dump_json(),
        "bytes": order.bytes,
        "method": order.settings.method,
        "priority": order.settings.priority,
        **_given(batch=order.batch, owner=order.owner, cache=order.cache),
    }


def _given(**fields: str | None) -> dict[str, str]:
    """Without those that are None."""
    return {name: value for name, value in fields.items() if value is not None}


def _flat(mapping: Mapping[str, Any]) -> list[Any]:
    return [part for pair in mapping.items() for part in pair]
