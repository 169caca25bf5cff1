"""The transitions of an explanation in Redis, each one Lua script and so atomic.

A script has the name of its class here, takes one JSON object with the fields of that class, and
replies with a list whose first word says what happened; its first lines tell the words. A field
that is None is left out, which Lua reads as nil. What a script writes as it came is text: numbers
in JSON keep their digits up to 2^53, Redis's bytes are none of JSON.

A script whose reply got lost may be sent again: it must not count twice.

`KEYS[1]` is the hash of the explanation, where there is one. A worker's writes carry its attempt, a
token made when it began: where the hash holds another, the worker lost its lease and the write is
refused.

No moment comes from a caller, only durations: the scripts read the one clock, which is Redis's.

A batch has a hash too, named as those of its explanations are, with no status but that of theirs;
it expires with the last of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import redis
from pydantic import TypeAdapter
from redis.commands.core import Script

from service.jobs.admission_limits import AdmissionLimits
from service.jobs.records import IdempotencyClaim
from service.jobs.redis_keys import as_text, key_of, worker_key_of

# each may use what those before it define
SHARED = ("clock", "fair_queue", "throughput", "explanation")


@dataclass(frozen=True)
class Call:
    """The argument of a script, and the keys it is run with."""

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


# --- The API's


@dataclass(frozen=True)
class Reserve(Call):
    ids: Sequence[str]
    reservation_s: int


@dataclass(frozen=True)
class NewBatch:
    id: str
    record: Mapping[str, str]  # its hash, but for its time


@dataclass(frozen=True)
class NewExplanation:
    id: str
    record: Mapping[str, str]  # its hash, but for its times
    job: Mapping[str, str] | None  # RQ's hash of its job; None where it has its result


@dataclass(frozen=True)
class Accept(Call):
    queue: str
    flow: str
    cost: float  # of a job, to its flow
    owner: str | None
    jobs: int  # how many are to wait
    bytes: int  # uploaded for these
    caps: AdmissionLimits
    retention_s: int
    claim: IdempotencyClaim | None
    batch: NewBatch | None
    explanations: Sequence[NewExplanation]

    @property
    def keys(self) -> list[str]:
        return [key_of(self.explanations[0].id)]


@dataclass(frozen=True)
class Cancel(CallOfOne):
    queue: str
    retention_s: int


@dataclass(frozen=True)
class Delete(CallOfOne):
    queue: str
    retention_s: int  # of a batch that loses its last explanation under way


@dataclass(frozen=True)
class Evict(CallOfOne):
    pass


# --- The worker's


@dataclass(frozen=True)
class Begin(CallOfOne):
    queue: str
    attempt: str
    lease_s: int


@dataclass(frozen=True)
class Renewal:
    id: str
    attempt: str
    progress: str | None


@dataclass(frozen=True)
class Renew(Call):
    queue: str
    lease_s: int
    renewals: Sequence[Renewal]


@dataclass(frozen=True)
class Finish(CallOfOne):
    queue: str
    attempt: str
    retention_s: int
    status: str
    outcome: str | None
    artefacts: str | None
    error: str | None
    progress: str | None
    work: Mapping[str, float]  # added to the totals


@dataclass(frozen=True)
class Release(CallOfOne):
    queue: str
    attempt: str
    retention_s: int
    counts: bool  # whether the start stays among the attempts


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


# --- Either's


@dataclass(frozen=True)
class Reap(Call):
    queue: str
    lease_s: int
    max_attempts: int
    retention_s: int
    error: str  # of a job that is given up


@dataclass(frozen=True)
class Expired(Call):
    limit: int


@dataclass(frozen=True)
class Tombstone(CallOfOne):
    tombstone_s: int


class Scripts:
    """Runs scripts on a connection. Raises `redis.RedisError`."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._loaded: dict[str, Script] = {}

    def run(self, call: Call) -> tuple[str, list[Any]]:
        """The first word of the reply, and the rest."""
        name = type(call).__name__.lower()
        if name not in self._loaded:
            self._loaded[name] = self._redis.register_script(source_of(name))
        tag, *rest = self._loaded[name](keys=call.keys, args=[_encode(call)])
        return as_text(tag), rest


@cache
def source_of(script: str) -> str:
    """The Lua of a script, with what all of them share."""
    return "\n".join(read_part(part) for part in (*SHARED, script))


def read_part(part: str) -> str:
    package, _, _ = __name__.rpartition(".")
    return (files(package) / "lua" / f"{part}.lua").read_text(encoding="utf-8")


def _encode(call: Call) -> bytes:
    """Without the fields that are None: cjson's null is true in Lua."""
    kind: Any = type(call)
    return _adapter(kind).dump_json(call, exclude_none=True)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
