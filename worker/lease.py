"""Renews the leases of running jobs in a thread, and kills a process stuck past a deadline."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from types import TracebackType

import redis
import structlog

from service.jobs.leases import FencedError, Heartbeat, Leases, LeaseStatus
from service.jobs.records import ProgressCount
from service.jobs.redis_retry import OutageLog
from service.schemas.documents import ErrorCode, Failure, Status
from worker.interruptions import Canceled, LeaseLost
from worker.task import Task

HEARTBEAT_S = 0.1  # pause between renewals; a cancel is noticed within it
PROGRESS_S = 0.2  # how often progress is published

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Context manager that renews leases, publishes progress and previews, and receives cancels.

    Each task has its own lease, renewed until `give_up`. A native call cannot be interrupted: where
    one runs past a task's deadline plus the grace period, the task fails and this process is
    killed; its supervisor restarts it.
    """

    def __init__(self, leases: Leases, tasks: Sequence[Task], *, grace_s: float) -> None:
        self._leases = leases
        self._held = {task: ProgressThrottle(task) for task in tasks}
        self._grace_s = grace_s
        self._outages = OutageLog("leases not renewed")
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> "LeaseKeeper":
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()
        self._outages.succeeded()

    @property
    def held(self) -> list[Task]:
        """The tasks that have not ended, in the order they were begun."""
        return list(self._held)

    def give_up(self, task: Task) -> None:
        """Stop renewing the lease of a task that has ended."""
        self._held.pop(task, None)

    def _keep(self) -> None:
        while not self._left.wait(HEARTBEAT_S):
            for task in self.held:
                if time.monotonic() > task.control.deadline + self._grace_s:
                    self._end_process(task)
            try:
                self._renew(list(self._held.items()))
                self._outages.succeeded()
            except redis.RedisError as error:
                self._outages.failed(error)

    def _renew(self, held: Sequence[tuple[Task, "ProgressThrottle"]]) -> None:
        heartbeats = [
            Heartbeat(task.state.id, task.attempt, throttle.read(), task.control.take_preview())
            for task, throttle in held
        ]
        statuses = self._leases.heartbeat(*heartbeats) if heartbeats else []
        for (task, _), status in zip(held, statuses, strict=True):
            task.control.watched = status is LeaseStatus.WATCHED
            if status is LeaseStatus.CANCEL:
                task.control.interrupt(Canceled)
            if status is LeaseStatus.FENCED:
                task.control.interrupt(LeaseLost)
                self.give_up(task)

    def _end_process(self, task: Task) -> None:
        """Fail a task and kill this process, unless the task has ended just now."""
        if task not in self._held:
            return
        log.error("stuck past the deadline; killing this process", **task.log_fields)
        failure = Failure(
            code=ErrorCode.DEADLINE_EXCEEDED,
            detail="the explanation passed its deadline in a call that cannot be interrupted",
        )
        try:
            self._leases.finish(task.state.id, task.attempt, Status.FAILED, error=failure)
        except (FencedError, redis.RedisError) as error:
            log.warning("failure not recorded", reason=type(error).__name__, **task.log_fields)
        os.kill(os.getpid(), signal.SIGKILL)


class ProgressThrottle:
    """Limits how often the progress of a task is published."""

    def __init__(self, task: Task) -> None:
        self._control = task.control
        self._published = ProgressCount(0, 0)
        self._published_at = 0.0

    def read(self) -> ProgressCount | None:
        """Return the count to publish; None where it is unchanged, or PROGRESS_S has not passed."""
        count, now = self._control.count, time.monotonic()
        if count == self._published or now - self._published_at < PROGRESS_S:
            return None
        self._published, self._published_at = count, now
        return count
