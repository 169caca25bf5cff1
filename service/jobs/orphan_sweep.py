"""Removes orphans: artifacts in the store that Redis does not know, as after losing its data.

Redis learns of each artifact before it is stored, and forgets it only after its removal. So an
artifact that Redis does not know, and that is older than the longest retention, is an orphan.
"""

from collections.abc import Iterable, Iterator

import redis
import structlog

from service.infra.artifact_store import Store, StoreEntry, StoreError
from service.infra.settings.shared import SharedSettings
from service.jobs.redis_clock import as_seconds
from service.jobs.redis_keys import EXPIRY, is_id, key_of
from service.jobs.store_identity import StoreIdentity, StoreMatch
from service.jobs.submissions import RESERVATION_S

TURN_KEY = "shapshot:orphans"  # held for the pause between two passes, so that one worker sweeps
MAX_PAUSE_S = 3600  # between two passes
MARGIN_S = 3600  # tolerated lag of the store's clock behind Redis's

log = structlog.get_logger(__name__)


class OrphanSweep:
    """Scans the whole store periodically, page by page, in one worker at a time."""

    def __init__(
        self,
        connection: redis.Redis,
        store: Store,
        identity: StoreIdentity,
        settings: SharedSettings,
    ) -> None:
        self._redis = connection
        self._store = store
        self._identity = identity
        self._kept_s = max(settings.retention_s, RESERVATION_S) + MARGIN_S
        self._pause_s = min(max(settings.retention_s, settings.lease_s), MAX_PAUSE_S)
        self._pages: Iterator[list[StoreEntry]] | None = None  # of the current pass

    def step(self) -> bool:
        """Scan one page if it is this worker's turn; return whether to continue at once.

        Removes nothing if Redis and the store do not match. Raises `redis.RedisError`.
        """
        if self._pages is None and not self._redis.set(TURN_KEY, "", nx=True, ex=self._pause_s):
            return False
        try:
            if self._identity.look() is not StoreMatch.SAME:
                self._pages = None
                return False
            self._pages = self._pages or self._store.pages("explanations")
            page = next(self._pages, None)
            for entry in self._orphans(page or []):
                self._store.delete(entry.key)
                log.warning("orphan removed", key=entry.key)
        except StoreError as error:
            log.warning("orphan sweep interrupted", cause=error.cause)
            page = None
        if page is None:
            self._pages = None
        return page is not None

    def _orphans(self, page: Iterable[StoreEntry]) -> list[StoreEntry]:
        """Return the old entries whose explanation Redis does not know."""
        oldest = as_seconds(self._redis.time()) - self._kept_s
        old = [entry for entry in page if entry.modified_at.timestamp() < oldest]
        ids = sorted({id_ for entry in old if (id_ := _id_of(entry))})
        if not ids:
            return []
        with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.exists(key_of(id_))
                pipe.zscore(EXPIRY, id_)
            answers = pipe.execute()
        known = zip(ids, answers[::2], answers[1::2], strict=True)
        unknown = {id_ for id_, there, due in known if not there and due is None}
        return [entry for entry in old if _id_of(entry) in unknown]


def _id_of(entry: StoreEntry) -> str | None:
    """Return the id of the entry's explanation; None if the key holds no valid id."""
    _, _, rest = entry.key.partition("/")
    id_, _, _ = rest.partition("/")
    return id_ if is_id(id_) else None
