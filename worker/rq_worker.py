"""The worker: one process that keeps its models loaded and runs RQ's loop (see rq_adapter.py)."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import redis
import rq.job
import structlog

from service.infra.artifact_store import StoreError
from service.infra.settings.worker import WorkerSettings
from service.jobs.leases import FencedError, Leases
from service.jobs.redis_retry import retry_while_down
from service.jobs.rq_adapter import Worker
from service.jobs.rq_job import only_argument
from service.jobs.store_identity import StoreIdentity
from service.schemas.documents import ErrorCode, Failure, Status
from worker.engine.control import Interruption
from worker.interruptions import DeadlineExceeded, Draining, JobControl, LeaseLost
from worker.lease import LeaseKeeper
from worker.preview_throttle import PreviewThrottle
from worker.task import Explain, FinishedTask, Task, TaskResult, failed, failed_unexpectedly

T = TypeVar("T")

RESULT_RETRY_S = 120  # how long a result waits for Redis to come back

log = structlog.get_logger(__name__)


class ModelWorker(Worker):
    """Takes one job at a time from one queue, with the waiting explanations of its batch."""

    def __init__(
        self,
        name: str,
        connection: redis.Redis,
        leases: Leases,
        settings: WorkerSettings,
        identity: StoreIdentity,
    ) -> None:
        super().__init__(name, settings.queue, connection)
        self._leases = leases
        self._settings = settings
        self._identity = identity
        self._tasks: list[Task] = []  # begun for the current job
        self._throttle = PreviewThrottle()  # of their previews

    def may_take(self) -> bool:
        """Return whether this store is the one that holds the uploads.

        Raises `redis.RedisError`.
        """
        try:
            return self._identity.fits or self._identity.look().store_fits
        except StoreError:
            return False

    def run_job(self, explain: Explain, job: rq.job.Job) -> None:
        """Compute a job's explanation and the waiting ones of its batch. Raises RefusedJobError.

        An explanation in its second or a later attempt runs alone: if it caused the crash or error
        that ended the first attempt, it affects no other.
        """
        explanation_id = only_argument(job)
        self._tasks = []
        self._throttle = PreviewThrottle()
        first = self._begin(explanation_id)
        if first and first.state.attempts == 1:
            for sibling in self._persist(lambda: self._leases.fresh_siblings(first.state)):
                self._begin(sibling)
        self._run(explain)

    def stop(self, signum: int) -> None:
        """Finish the current model call, return unfinished tasks to the queue's front, and stop."""
        for task in self._tasks:
            task.control.interrupt(Draining)
        # Log last: logging may fail where the signal interrupted another log call
        log.info("stopping", signal=signal.Signals(signum).name)

    def _begin(self, explanation_id: str) -> Task | None:
        """Begin an explanation; None where another worker has, or its record cannot be read.

        Explanations run side by side, so the n-th has n times the deadline.
        """
        attempt = self._persist(lambda: self._leases.begin(explanation_id))
        if not attempt:
            return None
        state = self._persist(lambda: self._leases.read(explanation_id))
        if not state:  # not retried, as every attempt would find the same record
            detail = "the explanation's record in Redis cannot be read"
            error = Failure(code=ErrorCode.INTERNAL, detail=detail)
            fail = partial(self._leases.finish, explanation_id, attempt, Status.FAILED, error=error)
            with suppress(FencedError):
                self._persist(fail)
            log.warning("record unreadable; explanation failed", id=explanation_id)
            return None
        deadline_s = self._settings.deadline_s * (len(self._tasks) + 1)
        control = JobControl(deadline_s=deadline_s, throttle=self._throttle)
        task = Task(state, attempt, control)
        self._tasks.append(task)
        log.info("explanation begun", **task.log_fields)
        if self._stop_requested:  # the signal came before this control existed
            control.interrupt(Draining)
        return task

    def _run(self, explain: Explain) -> None:
        with LeaseKeeper(self._leases, self._tasks, grace_s=self._settings.grace_s) as kept:
            for task, ending in _guarded(explain, self._tasks):
                if isinstance(ending, Draining):
                    continue
                self._conclude(task, ending)
                kept.give_up(task)
                for place, other in enumerate(kept.held, 1):
                    other.control.shorten_deadline(place * self._settings.deadline_s)
            for task in reversed(kept.held):  # the first task ends up at the queue's front
                with _owned(task):
                    id_, attempt, counts = task.state.id, task.attempt, not self._stop_requested
                    self._persist(partial(self._leases.release, id_, attempt, counts=counts))
                    log.info("explanation requeued")

    def _conclude(self, task: Task, ending: TaskResult | Interruption) -> None:
        """Record the end of a task."""
        with _owned(task):
            if isinstance(ending, LeaseLost):
                raise ending
            if isinstance(ending, DeadlineExceeded):
                detail = "the explanation ran for longer than the server allows"
                result = failed(ErrorCode.DEADLINE_EXCEEDED, detail)
            elif isinstance(ending, Interruption):
                result = TaskResult(Status.CANCELED)
            else:
                result = ending
            count = task.control.count
            self._persist(
                lambda: self._leases.finish(
                    task.state.id,
                    task.attempt,
                    result.status,
                    outcome=result.outcome,
                    artifacts=result.artifacts,
                    answer=result.answer,
                    error=result.error,
                    count=count if count.planned else None,
                    work=task.control.work,
                )
            )
            log.info("explanation ended", status=result.status, evaluations=count.evaluations)

    def _persist(self, write: Callable[[], T]) -> T:
        """Write to Redis, retrying during an outage so that no result is lost."""
        return retry_while_down(write, "waiting for Redis", pause_s=0.25, patience_s=RESULT_RETRY_S)


@contextmanager
def _owned(task: Task) -> Iterator[None]:
    """Bind a task's log fields; on a lost lease, log it and drop the result."""
    with structlog.contextvars.bound_contextvars(**task.log_fields):
        try:
            yield
        except (LeaseLost, FencedError):
            log.warning("lease lost; result dropped")


def _guarded(explain: Explain, tasks: Sequence[Task]) -> Iterator[FinishedTask]:
    """Run tasks; an unexpected error fails the only unfinished one, and the worker goes on.

    Of several unfinished tasks none fails: they return to the queue, where each runs alone, so that
    only the one that causes the error fails.
    """
    unfinished = list(tasks)
    try:
        for task, ending in explain(tasks):
            unfinished.remove(task)
            yield task, ending
    except Exception as error:
        log.exception("unexpected error", ids=[task.state.id for task in unfinished])
        if len(unfinished) == 1:
            yield unfinished[0], failed_unexpectedly(error)
