"""Whether Redis and the store belong together: a set has one name, kept in both.

The name is made at the first start of a set, by whichever process looks first, and never changes.
Where one side has none, or another's, data was lost, or a process was led to a wrong place.

In Redis the name is a hash: `set`, the name, and `stored`, the same once the store has it too. So a
process that dies between the two writes leaves a beginning that the next one completes, not a loss.
"""

import math
import threading
import time
import uuid
from contextlib import suppress
from enum import StrEnum

import redis
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from service.infra.artifact_store import MARKER_KEY, MissingArtifactError, Store, StoreError
from service.jobs.redis_keys import as_text

IDENTITY = "shapshot:identity"
MAX_AGE_S = 10  # how old an answer may be that is good enough for an upload
RETRY_S = 1  # after one that was bad, or not to be had

log = structlog.get_logger(__name__)


class StoreMatch(StrEnum):
    """How the names in Redis and in the store agree."""

    SAME = "same"
    REDIS_LOST = "redis_lost"  # the store has a name, Redis none
    STORE_LOST = "store_lost"  # Redis has one, the store none
    DIFFERENT = "different"  # each has another

    @property
    def store_fits(self) -> bool:
        """Whether what is written to the store is found again."""
        return self in (StoreMatch.SAME, StoreMatch.REDIS_LOST)

    @property
    def problem(self) -> str:
        """What is wrong, and how it may be put right without a loss; '' of SAME."""
        return _PROBLEMS[self]


_PROBLEMS = {
    StoreMatch.SAME: "",
    StoreMatch.REDIS_LOST: (
        "Redis has lost its data: the store holds artefacts of a set that Redis knows nothing of. "
        "Bring back Redis's append-only file, or lead SHAPSHOT_REDIS_URL to the Redis that has it"
    ),
    StoreMatch.STORE_LOST: (
        f"the store is not the one that was written to so far: it has no {MARKER_KEY}. "
        "Lead SHAPSHOT_STORE_URL to the folder or bucket that has it, or bring its content back"
    ),
    StoreMatch.DIFFERENT: (
        "Redis and the store belong to two different sets. "
        "Lead SHAPSHOT_REDIS_URL and SHAPSHOT_STORE_URL to the two of one set"
    ),
}


class _Marker(BaseModel):
    """What the store keeps under MARKER_KEY."""

    model_config = ConfigDict(frozen=True)

    set: str


def compare_store(connection: redis.Redis, store: Store) -> StoreMatch:
    """Compare the names; name a set that has none yet. Raises `redis.RedisError`, StoreError.

    A store that only this process sees belongs to whoever has it.
    """
    if store.private:
        return StoreMatch.SAME
    match = _compare(connection, store)
    # Another process may have named the set between the two reads
    return match if match is StoreMatch.SAME else _compare(connection, store)


def adopt_store(connection: redis.Redis, store: Store) -> None:
    """Name Redis and the store, as they are, anew: one set. Raises `redis.RedisError`, StoreError.

    Where it breaks off they do not match, and it can be done again.
    """
    name = uuid.uuid4().hex
    _mark(store, name)
    connection.hset(IDENTITY, mapping={"set": name, "stored": name})


def _compare(connection: redis.Redis, store: Store) -> StoreMatch:
    """Redis is read first: a name that is `stored` was in the store before."""
    in_redis, stored = (
        as_text(value) if value else None for value in connection.hmget(IDENTITY, "set", "stored")
    )
    in_store = _read_mark(store)
    if in_redis is None and in_store is not None:
        return StoreMatch.REDIS_LOST
    if in_redis is not None and in_store is None and stored == in_redis:
        return StoreMatch.STORE_LOST
    if in_redis is not None and in_store not in (None, in_redis):
        return StoreMatch.DIFFERENT
    if in_redis is None or in_store is None:
        _name(connection, store)
    elif stored != in_redis:
        connection.hset(IDENTITY, "stored", in_redis)
    return StoreMatch.SAME


def _name(connection: redis.Redis, store: Store) -> None:
    """All who do this at once take the name that the first of them wrote."""
    connection.hsetnx(IDENTITY, "set", uuid.uuid4().hex)
    name = as_text(connection.hget(IDENTITY, "set"))
    _mark(store, name)
    connection.hset(IDENTITY, "stored", name)


def _mark(store: Store, name: str) -> None:
    store.put(MARKER_KEY, _Marker(set=name).model_dump_json().encode())


def _read_mark(store: Store) -> str | None:
    """The name; '', which is nobody's, where something else is there."""
    try:
        return _Marker.model_validate_json(store.get_soon(MARKER_KEY)).set
    except MissingArtifactError:
        return None
    except ValidationError:
        return ""


class StoreIdentity:
    """Compares now and then; the log hears when the two part, and when they match again."""

    def __init__(self, connection: redis.Redis, store: Store) -> None:
        self._redis = connection
        self._store = store
        self._last: StoreMatch | None = None
        self._due_at = -math.inf  # time.monotonic()
        self._looking = threading.Lock()

    @property
    def fits(self) -> bool:
        """Whether the store was the right one when it was last looked at; not before the first."""
        return self._last is not None and self._last.store_fits

    @property
    def last(self) -> StoreMatch:
        """As last seen; SAME before that."""
        return self._last or StoreMatch.SAME

    def look(self) -> StoreMatch:
        """Compare now. Raises `redis.RedisError`, StoreError."""
        with self._looking:
            return self._look()

    def recent(self) -> StoreMatch:
        """As seen MAX_AGE_S ago at the most, or as last seen while Redis or the store is out.

        Only one caller at a time waits for them.
        """
        if time.monotonic() >= self._due_at and self._looking.acquire(blocking=False):
            try:
                with suppress(redis.RedisError, StoreError):
                    self._look()
            finally:
                self._looking.release()
        return self.last

    def _look(self) -> StoreMatch:
        self._due_at = time.monotonic() + RETRY_S
        match = compare_store(self._redis, self._store)
        if match is StoreMatch.SAME:
            self._due_at = time.monotonic() + MAX_AGE_S
        if match is not self.last:
            if match is StoreMatch.SAME:
                log.info("Redis and the store match again", was=self.last.value)
            else:
                log.error("Redis and the store do not match", match=match, reason=match.problem)
        self._last = match
        return match
