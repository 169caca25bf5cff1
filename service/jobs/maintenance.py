"""Housekeeping in Redis by workers and the API; safe to run in many processes at once."""

import redis
import structlog

from service.infra.settings.shared import SharedSettings
from service.jobs.audit import audited
from service.jobs.redis_keys import EXPIRY, as_text, is_id
from service.jobs.scripts import Expired, Reap, Scripts, Tombstone
from service.schemas.documents import ErrorCode, Failure

GRACE_S = 86400  # that an explanation is kept at least after its hold ends, or its retention

log = structlog.get_logger(__name__)


def grace_s(retention_s: int) -> int:
    return min(GRACE_S, retention_s)


class Maintenance:
    """Maintenance of the explanations of one queue.

    Blocking; every call may raise `redis.RedisError`.
    """

    def __init__(self, connection: redis.Redis, settings: SharedSettings) -> None:
        self._redis = connection
        self._scripts = Scripts(connection)
        self._settings = settings

    def reap(self, *, max_attempts: int) -> int:
        """Requeue or fail the jobs whose lease has expired; return their number."""
        lost = Failure(
            code=ErrorCode.WORKER_LOST,
            detail=f"its worker died in each of {max_attempts} attempts; it is not retried",
        )
        reap = Reap(
            self._settings.queue,
            self._settings.lease_s,
            max_attempts,
            self._settings.retention_s,
            lost.model_dump_json(),
        )
        _, [reaped] = self._scripts.run(reap)
        return int(reaped)

    def expired(self, limit: int = 100) -> list[str]:
        """Return ids whose artifacts may be removed: expired, deleted or never accepted."""
        grace = grace_s(self._settings.retention_s)
        _, found = self._scripts.run(Expired(limit, grace, audited(self._settings.audit)))
        invalid = [member for member in found if not is_id(as_text(member))]
        if invalid:  # never used in a store key
            log.warning("invalid ids removed", key=EXPIRY, count=len(invalid))
            self._redis.zrem(EXPIRY, *invalid)
        return [as_text(member) for member in found if member not in invalid]

    def leave_tombstone(self, explanation_id: str, *, tombstone_s: int) -> None:
        """Replace an explanation whose artifacts are removed by a tombstone."""
        by = audited(self._settings.audit)
        self._scripts.run(Tombstone(explanation_id, tombstone_s, by))
