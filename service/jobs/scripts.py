"""The transitions of an explanation in Redis; each is one Lua script, and so atomic.

A script is named after its class here, takes one JSON object with the fields of that class, and
replies with a list whose first word says what happened; the first lines of the script list these
words. A field that is None is left out, and reads as nil in Lua. Values that a script stores
unchanged are passed as text: cjson keeps integers exact only up to 2^53, and JSON cannot hold raw
bytes.

A script may be sent again after its reply was lost, so each is idempotent.

`KEYS[1]` is the hash of the explanation, if the script is about one. A worker's writes carry the
token of its attempt, made when the attempt began. If the hash holds another token, the worker has
lost its lease and the write is rejected.

Callers pass durations, never times: the scripts read Redis's clock.

A batch has a hash too, with a key of the same form as an explanation's and without a status. It
expires with the last of its explanations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import redis
import redis.asyncio
from pydantic import TypeAdapter
from redis.commands.core import Script

from service.jobs.admission_limits import AdmissionLimits
from service.jobs.audit import Audited
from service.jobs.claims import IdempotencyClaim
from service.jobs.redis_keys import as_text, key_of, worker_key_of

# each may use the functions of those before it
SHARED = (
    *("clock", "claims", "totals", "fair_queue", "throughput", "index"),
    *("audit", "events", "explanation"),
)


@dataclass(frozen=True)
class Call:
    """The argument of a script, and its keys."""

    @property
    def keys(self) -> list[str]:
        return []


@dataclass(frozen=True)
class CallOfOne(Call):
    """The argument of a script about one explanation or batch."""

    id: str

    @property
    def keys(self) -> list[str]:
        return [key_of(self.id)]


# --- Called by the API


@dataclass(frozen=True)
class Reserve(Call):
    ids: Sequence[str]
    reservation_s: int


@dataclass(frozen=True)
class NewEntry:
    """An entry of the audit log about what changes nothing else."""

    action: str
    explanation: str | None = None  # or a batch
    what: str | None = None
    outcome: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Note(Call):
    audit: Audited | None
    entries: Sequence[NewEntry]


@dataclass(frozen=True)
class Segment(Call):
    sequence: int  # number of statements in the chain before it
    entry: str  # of the chain
    after: str  # id of the last entry of the segment before it; empty: none
    first: str
    last: str
    envelope: str
    sha256: str  # of the payload


@dataclass(frozen=True)
class NewBatch:
    id: str
    record: Mapping[str, str]  # its hash, without the time


@dataclass(frozen=True)
class NewExplanation:
    id: str
    record: Mapping[str, str]  # its hash, without the times
    job: Mapping[str, str] | None  # RQ's hash of its job; None if the result is known


@dataclass(frozen=True)
class Accept(Call):
    queue: str
    flow: str
    cost: float  # of one job, charged to its flow
    owner: str | None
    jobs: int  # number to be queued
    bytes: int  # uploaded for them
    caps: AdmissionLimits
    retention_s: int
    claim: IdempotencyClaim | None
    batch: NewBatch | None
    explanations: Sequence[NewExplanation]
    audit: Audited | None = None

    @property
    def keys(self) -> list[str]:
        return [key_of(self.explanations[0].id)]


@dataclass(frozen=True)
class Cancel(CallOfOne):
    queue: str
    retention_s: int
    audit: Audited | None = None


@dataclass(frozen=True)
class Delete(CallOfOne):
    queue: str
    retention_s: int  # of a batch whose last unfinished explanation is deleted
    audit: Audited | None = None


@dataclass(frozen=True)
class Hold(CallOfOne):
    by: str
    reason: str
    ends: str | None  # seconds since the epoch; None: until it is released
    replaces: bool  # the hold of somebody else
    audit: Audited | None = None


@dataclass(frozen=True)
class Unhold(CallOfOne):
    by: str
    replaces: bool
    grace_s: int  # that it is kept at least
    audit: Audited | None = None


@dataclass(frozen=True)
class Evict(CallOfOne):
    pass


@dataclass(frozen=True)
class Seal(CallOfOne):
    sequence: int  # number of statements in the chain before it
    entry: str  # of the chain
    record: str  # for the explanation's hash
    stamp: bool  # whether it is to have a timestamp


@dataclass(frozen=True)
class Stamp(CallOfOne):
    record: str  # for the explanation's hash, with the timestamp


@dataclass(frozen=True)
class Review(CallOfOne):
    sequence: int  # number of statements in the chain before it
    entry: str  # of the chain
    number: int  # among the reviews of the explanation, from 1
    reference: str  # for the list of reviews
    review: str  # for the explanation's hash
    facets: str
    verdict: str  # for the audit log
    claim: IdempotencyClaim | None = None
    audit: Audited | None = None


@dataclass(frozen=True)
class Place:
    """A member of a sorted set; it need not be there any more."""

    score: str
    member: str


@dataclass(frozen=True)
class Walk(Call):
    sets: Sequence[str]
    newest: bool  # first
    since: str | None  # time of creation
    before: str | None
    place: Place | None  # from which to walk on
    limit: int | None  # members to find; None: count them all
    lookups: int  # at most


# --- Called by the worker


@dataclass(frozen=True)
class Begin(CallOfOne):
    queue: str
    attempt: str
    lease_s: int


@dataclass(frozen=True)
class EncodedPreview:
    """A preview, as clients receive it."""

    text: str
    evaluations: int  # of which it tells


@dataclass(frozen=True)
class Renewal:
    id: str
    attempt: str
    progress: str | None
    preview: EncodedPreview | None


@dataclass(frozen=True)
class Renew(Call):
    queue: str
    lease_s: int
    preview_s: int  # until a preview expires
    renewals: Sequence[Renewal]


@dataclass(frozen=True)
class Finish(CallOfOne):
    queue: str
    attempt: str
    retention_s: int
    status: str
    outcome: str | None
    facets: str | None  # with those of the outcome
    artifacts: str | None
    error: str | None
    progress: str | None
    work: Mapping[str, float]  # added to the totals
    answer: str | None = None  # of scores


@dataclass(frozen=True)
class Release(CallOfOne):
    queue: str
    attempt: str
    retention_s: int
    counts: bool  # whether the attempt count includes this start


@dataclass(frozen=True)
class Card:
    model: str
    text: str
    usable: bool
    default: bool


@dataclass(frozen=True)
class Announce(Call):
    worker: str
    lease_s: int
    remember_s: float | None  # None: for ever
    cards: Sequence[Card]

    @property
    def keys(self) -> list[str]:
        return [worker_key_of(self.worker)]


# --- Called by both


@dataclass(frozen=True)
class Reap(Call):
    queue: str
    lease_s: int
    max_attempts: int
    retention_s: int
    error: str  # of a job that has used up its attempts


@dataclass(frozen=True)
class Reindex(CallOfOne):
    version: str  # of the hash from which the facets were read
    facets: str


@dataclass(frozen=True)
class Expired(Call):
    limit: int
    grace_s: int  # that those whose hold ends are kept at least
    audit: Audited | None = None


@dataclass(frozen=True)
class Tombstone(CallOfOne):
    tombstone_s: int
    audit: Audited | None = None


class Scripts:
    """Runs scripts on a connection. Raises `redis.RedisError`."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._loaded: dict[str, Script] = {}

    def run(self, call: Call) -> tuple[str, list[Any]]:
        """Run the script; return the first word of the reply, and the rest."""
        name = type(call).__name__.lower()
        if name not in self._loaded:
            self._loaded[name] = self._redis.register_script(source_of(name))
        tag, *rest = self._loaded[name](keys=call.keys, args=[_encode(call)])
        return as_text(tag), rest


async def run_async(connection: redis.asyncio.Redis, call: Call) -> tuple[str, list[Any]]:
    """Run a script on an asyncio connection, as `Scripts.run`. Raises `redis.RedisError`."""
    script = connection.register_script(source_of(type(call).__name__.lower()))
    tag, *rest = await script(keys=call.keys, args=[_encode(call)])
    return as_text(tag), rest


@cache
def source_of(script: str) -> str:
    """Return the Lua source of a script, with the shared functions."""
    return "\n".join(read_part(part) for part in (*SHARED, script))


def read_part(part: str) -> str:
    package, _, _ = __name__.rpartition(".")
    return (files(package) / "lua" / f"{part}.lua").read_text(encoding="utf-8")


def _encode(call: Call) -> bytes:
    """Encode without the fields that are None: cjson's null is true in Lua."""
    kind: Any = type(call)
    return _adapter(kind).dump_json(call, exclude_none=True)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
