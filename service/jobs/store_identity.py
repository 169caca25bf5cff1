"""Checks that Redis and the store belong together: both hold the same name of their set.

The first process that checks a new set creates the name, which never changes. If one side has no
name, or a different one, data was lost, or a process is configured with the wrong Redis or store.

In Redis the name is a hash: `set` is the name, and `stored` repeats it once the store has it too.
If a process dies between the two writes, the next one completes them instead of reporting a loss.
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
MAX_AGE_S = 10  # longest age of a check that still admits an upload
RETRY_S = 1  # after a mismatch, or a check that failed

log = structlog.get_logger(__name__)


class StoreMatch(StrEnum):
    """The result of comparing the names in Redis and in the store."""

    SAME = "same"
    REDIS_LOST = "redis_lost"  # only the store has a name
    STORE_LOST = "store_lost"  # only Redis has a name
    DIFFERENT = "different"  # the names differ

    @property
    def store_fits(self) -> bool:
        """Return whether the store is the right one to write to."""
        return self in (StoreMatch.SAME, StoreMatch.REDIS_LOST)

    @property
    def problem(self) -> str:
        """Describe the mismatch and how to repair it without losing data; '' for SAME."""
        return _PROBLEMS[self]


_PROBLEMS = {
    StoreMatch.SAME: "",
    StoreMatch.REDIS_LOST: (
        "Redis has lost its data: the store holds artifacts of a set that Redis does not know. "
        "Restore Redis's append-only file, or set SHAPSHOT_REDIS_URL to the Redis that has it"
    ),
    StoreMatch.STORE_LOST: (
        f"the store is not the one that was used so far: it has no {MARKER_KEY}. "
        "Set SHAPSHOT_STORE_URL to the folder or bucket that has it, or restore its content"
    ),
    StoreMatch.DIFFERENT: (
        "Redis and the store belong to two different sets. "
        "Set SHAPSHOT_REDIS_URL and SHAPSHOT_STORE_URL to those of one set"
    ),
}


class _Marker(BaseModel):
    """The content of MARKER_KEY in the store."""

    model_config = ConfigDict(frozen=True)

    set: str


def compare_store(connection: redis.Redis, store: Store) -> StoreMatch:
    """Compare the names; name a new set. Raises `redis.RedisError`, StoreError.

    A store that is private to this process always matches.
    """
    if store.private:
        return StoreMatch.SAME
    match = _compare(connection, store)
    # Another process may have named the set between the two reads
    return match if match is StoreMatch.SAME else _compare(connection, store)


def adopt_store(connection: redis.Redis, store: Store) -> None:
    """Give Redis and the store a new common name. Raises `redis.RedisError`, StoreError.

    If interrupted, it leaves a mismatch, and can be repeated.
    """
    name = uuid.uuid4().hex
    _mark(store, name)
    connection.hset(IDENTITY, mapping={"set": name, "stored": name})


def _compare(connection: redis.Redis, store: Store) -> StoreMatch:
    """Compare once, reading Redis first: its `stored` says that the store once had the name."""
    in_redis, stored = (
        as_text(value) if value else None for value in connection.hmget(IDENTITY, "set", "stored")
    )
    in_store: str | None = None
    try:
        in_store = _Marker.model_validate_json(store.get_soon(MARKER_KEY)).set
    except MissingArtifactError:
        pass
    except ValidationError:
        in_store = ""  # matches no name
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
    """Name a new set; concurrent callers agree on the first name written."""
    connection.hsetnx(IDENTITY, "set", uuid.uuid4().hex)
    name = as_text(connection.hget(IDENTITY, "set"))
    _mark(store, name)
    connection.hset(IDENTITY, "stored", name)


def _mark(store: Store, name: str) -> None:
    store.put(MARKER_KEY, _Marker(set=name).model_dump_json().encode())


class StoreIdentity:
    """Compares periodically; logs when a mismatch begins and ends."""

    def __init__(self, connection: redis.Redis, store: Store) -> None:
        self._redis = connection
        self._store = store
        self._last: StoreMatch | None = None
        self._due_at = -math.inf  # time.monotonic()
        self._looking = threading.Lock()

    @property
    def fits(self) -> bool:
        """Return whether the store fitted at the last check; False before the first."""
        return self._last is not None and self._last.store_fits

    @property
    def last(self) -> StoreMatch:
        """Return the result of the last check; SAME before the first."""
        return self._last or StoreMatch.SAME

    def look(self) -> StoreMatch:
        """Compare now. Raises `redis.RedisError`, StoreError."""
        with self._looking:
            return self._look()

    def recent(self) -> StoreMatch:
        """Return a result at most MAX_AGE_S old, or the last one if Redis or the store is down.

        Only one caller at a time waits for a check.
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
