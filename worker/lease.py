"""The thread that keeps a job ours while the engine computes, and ends what cannot be stopped."""

import os
import signal
import threading
import time
from types import TracebackType

import redis
import structlog

from service.contract.ledger import Count, Fenced, Ledger
from service.contract.schema import ErrorCode, Failure, Status
from worker.control import Canceled, Control, LeaseLost

TICK_S = 0.1  # how soon a cancel is heard
PROGRESS_S = 0.2  # how often progress is published

log = structlog.get_logger(__name__)


class Lease:
    """Renews the lease, publishes progress and listens for a cancel, until the block is left.

    A native call that outlives deadline and grace cannot be interrupted: the job is failed and
    this process killed, for its supervisor to start anew.
    """

    def __init__(
        self, ledger: Ledger, explanation_id: str, attempt: str, control: Control, *, grace_s: float
    ) -> None:
        self._ledger = ledger
        self._id = explanation_id
        self._attempt = attempt
        self._control = control
        self._last_moment = control.deadline + grace_s
        self._published = Count(0, 0)
        self._published_at = 0.0
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._left.wait(TICK_S):
            if time.monotonic() > self._last_moment:
                self._end_process()
            try:
                if self._ledger.tick(self._id, self._attempt, self._news()):
                    self._control.interrupt(Canceled)
            except Fenced:
                self._control.interrupt(LeaseLost)
                return
            except redis.RedisError as error:
                log.warning("lease not renewed", id=self._id, reason=type(error).__name__)

    def _news(self) -> Count | None:
        count, now = self._control.count, time.monotonic()
        if count == self._published or now - self._published_at < PROGRESS_S:
            return None
        self._published, self._published_at = count, now
        return count

    def _end_process(self) -> None:
        log.error("stuck past its deadline; this process ends", id=self._id)
        failure = Failure(
            code=ErrorCode.DEADLINE_EXCEEDED,
            detail="it ran past its deadline in a call that could not be interrupted",
        )
        try:
            self._ledger.finish(self._id, self._attempt, Status.FAILED, error=failure)
        except (Fenced, redis.RedisError) as error:
            log.warning("the end was not recorded", id=self._id, reason=type(error).__name__)
        os.kill(os.getpid(), signal.SIGKILL)
