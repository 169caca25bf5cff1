"""Housekeeping in Redis by workers and the API; safe to run in many processes at once."""

from typing import Self

import redis
import structlog

from service.infra.settings.shared import SharedSettings
from service.jobs.redis_keys import EXPIRY, as_text, is_id
from service.jobs.scripts import Expired, Reap, Scripts, Tombstone
from service.schemas.documents import ErrorCode, Failure

log = structlog.get_logger(__name__)


class Maintenance:
    """Maintenance of the explanations of one queue.

    Blocking; every call may raise `redis.RedisError`.
    """

    def __init__(
        self, connection: redis.Redis, *, queue: str, lease_s: int, retention_s: int
    ) -> None:
        self._redis = connection
        self._scripts = Scripts(connection)
        self._queue = queue
        self._lease_s = lease_s
        self._retention_s = retention_s

    @classmethod
    def of(cls, connection: redis.Redis, settings: SharedSettings) -> Self:
        return cls(
            connection,
            queue=settings.queue,
            lease_s=settings.lease_s,
            retention_s=settings.retention_s,
        )

    def reap(self, *, max_attempts: int) -> int:
        """Requeue or fail the jobs whose lease has expired; return their number."""
        lost = Failure(
            code=ErrorCode.WORKER_LOST,
            detail=f"its worker died {max_attempts} times; it is not tried again",
        )
        reap = Reap(
            self._queue, self._lease_s, max_attempts, self._retention_s, lost.model_dump_json()
        )
        _, [reaped] = self._scripts.run(reap)
        return int(reaped)

    def expired(self, limit: int = 100) -> list[str]:
        """Return ids whose artefacts may be removed: expired, deleted or never accepted."""
        _, found = self._scripts.run(Expired(limit))
        strange = [member for member in found if not is_id(as_text(member))]
        if strange:  # invalid ids: never used in a store key
            log.warning("strange ids are not swept", count=len(strange))
            self._redis.zrem(EXPIRY, *strange)
        return [as_text(member) for member in found if member not in strange]

    def leave_tombstone(self, explanation_id: str, *, tombstone_s: int) -> None:
        """Replace an explanation whose artefacts are removed by a tombstone."""
        self._scripts.run(Tombstone(explanation_id, tombstone_s))
