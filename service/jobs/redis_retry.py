"""Retries while Redis or the store is down; logs the start and the end of an outage."""

import math
import time
from collections.abc import Callable
from itertools import repeat
from typing import TypeVar

import redis
import structlog

from service.infra.artifact_errors import StoreError
from service.infra.retry import retry
from service.jobs.redis_errors import outage_reason

T = TypeVar("T")

log = structlog.get_logger(__name__)


class OutageLog:
    """Logs the first failure in a row, and the next success."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None  # time.monotonic()

    def failed(self, error: Exception) -> None:
        if self._since is None:
            self._since = time.monotonic()
            reason = _temporary(error) or type(error).__name__
            message = error.cause if isinstance(error, StoreError) else str(error)
            log.warning(self._what, reason=reason, error=message)

    def succeeded(self) -> None:
        if self._since is not None:
            after_s = round(time.monotonic() - self._since, 1)
            log.info("recovered", what=self._what, after_s=after_s)
            self._since = None


def retry_while_down(
    action: Callable[[], T], what: str, *, pause_s: float, patience_s: float = math.inf
) -> T:
    """Call `action`; retry while Redis or the store is down, for `patience_s` at most.

    what: the consequence of the outage, for the log.
    """
    outages = OutageLog(what)
    result = retry(
        action,
        passes=lambda error: _temporary(error) is not None,
        pauses=repeat(pause_s),
        until=time.monotonic() + patience_s,
        failed=outages.failed,
    )
    outages.succeeded()
    return result


def _temporary(error: Exception) -> str | None:
    """Describe a temporary error; None if retrying does not help."""
    if isinstance(error, StoreError):
        return str(error)
    return outage_reason(error) if isinstance(error, redis.RedisError) else None
