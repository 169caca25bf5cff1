"""Waiting until Redis or the store is back; the log hears when that begins and when it is over."""

import math
import time
from collections.abc import Callable
from typing import TypeVar

import redis
import structlog

from service.contract.outage import outage
from service.contract.store import StoreError

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Spell:
    """A time in which something does not go; tell it after each try."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None  # time.monotonic()

    def goes_on(self, error: redis.RedisError | StoreError) -> None:
        if self._since is None:
            self._since = time.monotonic()
            reason = _passing(error) or type(error).__name__
            log.warning(self._what, reason=reason, error=_in_full(error))

    def is_over(self) -> None:
        if self._since is not None:
            log.info(f"no longer: {self._what}", after_s=round(time.monotonic() - self._since, 1))
            self._since = None


def outlast(
    action: Callable[[], T], what: str, *, pause_s: float, patience_s: float = math.inf
) -> T:
    """Do it, again after each pause while Redis or the store is out.

    Raises what outlives the patience.
    """
    spell, patience = Spell(what), time.monotonic() + patience_s
    while True:
        try:
            answer = action()
        except (redis.RedisError, StoreError) as error:
            if not _passing(error) or time.monotonic() > patience:
                raise
            spell.goes_on(error)
            time.sleep(pause_s)
        else:
            spell.is_over()
            return answer


def _passing(error: redis.RedisError | StoreError) -> str | None:
    """What is the matter for now; None where waiting does not help."""
    return str(error) if isinstance(error, StoreError) else outage(error)


def _in_full(error: redis.RedisError | StoreError) -> str:
    return error.cause if isinstance(error, StoreError) else str(error)
