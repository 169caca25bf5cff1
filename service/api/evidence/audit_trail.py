"""Appends to the audit log what changes nothing else, and keeps the log within its days."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import redis
import redis.asyncio
import structlog
from anyio import to_thread

from service.api.auth.key_store import KeyStore
from service.api.version import version
from service.infra.settings.api import ApiSettings
from service.jobs.audit import audited
from service.jobs.audit_log import AuditLog
from service.jobs.scripts import NewEntry, Note, run_async
from service.schemas.audit import AuditAction

ONCE_S = 60  # equal reads of one actor within it are one entry
MAX_REMEMBERED = 10_000  # entries, so that a flood is bounded
LOOK_S, TRIM_S, OUTAGE_S = 1.0, 3600.0, 5.0  # between looks at the keys; trimmings; attempts
MAX_DETAIL = 500  # characters

log = structlog.get_logger(__name__)


class AuditTrail:
    """Notes reads and refusals. `note` raises RedisError: then the read must be refused."""

    def __init__(
        self,
        connection: redis.Redis,
        reading: redis.asyncio.Redis,
        settings: ApiSettings,
        key_store: KeyStore | None,
    ) -> None:
        self._log = AuditLog(connection)
        self._redis = reading
        self._settings = settings
        self._keys = key_store
        self._noted: dict[object, float] = {}  # monotonic seconds

    @property
    def has_reads(self) -> bool:
        return self._settings.audit == "reads"

    async def note(self, entries: Sequence[NewEntry], who: object = None) -> None:
        """Append entries, unless they were within a minute. who: by whom; they count apart."""
        by = audited(self._settings.audit)
        now = time.monotonic()
        new = [each for each in entries if now >= self._noted.get((who, each), 0)]
        if by is None or not new:
            return
        await run_async(self._redis, Note(by, new))
        if len(self._noted) > MAX_REMEMBERED:
            self._noted.clear()
        self._noted |= {(who, each): now + ONCE_S for each in new}

    async def run(self) -> None:
        """Note the start and each change of the keys, and trim the log, until cancelled."""
        told: object = None
        trim_at = 0.0
        while True:
            try:
                keys = self._keys.names() if self._keys else ["none"]
                if keys != told:
                    action = AuditAction.STARTED if told is None else AuditAction.KEYS_CHANGED
                    detail = f"version {version()}; keys: {', '.join(keys)}"[:MAX_DETAIL]
                    await self.note([NewEntry(action, what="api", detail=detail)])
                    told = keys
                if time.monotonic() >= trim_at:
                    trim = partial(self._log.trim, self._settings.audit_days)
                    await to_thread.run_sync(trim, abandon_on_cancel=True)
                    trim_at = time.monotonic() + TRIM_S
                await asyncio.sleep(LOOK_S)
            except redis.RedisError as error:
                log.warning("audit log not written", cause=str(error))
                await asyncio.sleep(OUTAGE_S)
