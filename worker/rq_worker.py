"""The worker: one process that keeps its models, around RQ's loop (see rq_adapter.py)."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import redis
import rq.job
import structlog

from service.infra.artifact_store import StoreError
from service.infra.settings import Settings
from service.jobs.leases import FencedError, Leases
from service.jobs.redis_retry import retry_while_down
from service.jobs.rq_adapter import Worker
from service.jobs.rq_job import only_argument
from service.jobs.store_identity import StoreIdentity
from service.schemas.documents import ErrorCode, Failure, Status
from worker.engine.control import Interruption
from worker.interruptions import DeadlineExceeded, Draining, JobControl, LeaseLost
from worker.lease import LeaseKeeper
from worker.task import Explain, FinishedTask, Task, TaskResult, failed, failed_unexpectedly

T = TypeVar("T")

RESULT_RETRY_S = 120  # how long a result waits for Redis to come back

log = structlog.get_logger(__name__)


class ModelWorker(Worker):
    """Takes one job at a time from one queue, with what waits of its batch; each ends once."""

    def __init__(
        self,
        name: str,
        connection: redis.Redis,
        leases: Leases,
        settings: Settings,
        identity: StoreIdentity,
    ) -> None:
        super().__init__(name, settings.queue, connection)
        self._leases = leases
        self._settings = settings
        self._identity = identity
        self._tasks: list[Task] = []  # begun, of the job at hand

    def may_take(self) -> bool:
        """Whether the store was seen to be the one that the pictures are in.

        Raises `redis.RedisError`.
        """
        try:
            return self._identity.fits or self._identity.look().store_fits
        except StoreError:
            return False

    def run_job(self, explain: Explain, job: rq.job.Job) -> None:
        """Explain what a job asks for, and what waits of its batch. Raises RefusedJobError."""
        explanation_id = only_argument(job)
        self._tasks = []
        self._begin_all(explanation_id)
        self._run(explain)

    def stop(self, signum: int) -> None:
        """Finish the batch at hand, give what is not done back to the queue's front, and stop."""
        for task in self._tasks:
            task.control.interrupt(Draining)
        # Last, as it may fail where the signal came in the middle of another line
        log.info("stopping", signal=signal.Signals(signum).name)

    def _begin_all(self, explanation_id: str) -> None:
        """Begin it, and with it what has never been begun of its batch.

        An explanation that was lost with its worker, or broken off by an error among several, runs
        alone: should it be what does that, it takes no others with it.
        """
        first = self._begin(explanation_id)
        if first and first.state.attempts == 1:
            for sibling in self._persist(lambda: self._leases.fresh_siblings(first.state)):
                self._begin(sibling)

    def _begin(self, explanation_id: str) -> Task | None:
        """Begin it, if nobody has. The n-th to run side by side may take as long as n in a row."""
        attempt = self._persist(lambda: self._leases.begin(explanation_id))
        if not attempt:
            return None
        state = self._persist(lambda: self._leases.read(explanation_id))
        if not state:
            self._fail_unread(explanation_id, attempt)
            return None
        control = JobControl(deadline_s=self._settings.deadline_s * (len(self._tasks) + 1))
        task = Task(state, attempt, control)
        self._tasks.append(task)
        log.info("explanation begun", **task.marks)
        if self._stop_requested:  # the signal came before there was a control to tell
            control.interrupt(Draining)
        return task

    def _fail_unread(self, explanation_id: str, attempt: str) -> None:
        """End what has begun and cannot be read: whoever wrote it, it is not tried again."""
        error = Failure(code=ErrorCode.INTERNAL, detail="its record in Redis cannot be read")
        with suppress(FencedError):
            self._persist(
                lambda: self._leases.finish(explanation_id, attempt, Status.FAILED, error=error)
            )
        log.warning("explanation refused", id=explanation_id, reason=error.detail)

    def _run(self, explain: Explain) -> None:
        with LeaseKeeper(self._leases, self._tasks, grace_s=self._settings.grace_s) as kept:
            for task, ending in _guarded(explain, self._tasks):
                if isinstance(ending, Draining):
                    continue
                self._conclude(task, ending)
                kept.give_up(task)
                for place, other in enumerate(kept.held, 1):
                    other.control.shorten_deadline(place * self._settings.deadline_s)
            for task in reversed(kept.held):  # the first comes to the very front
                self._give_back(task)

    def _conclude(self, task: Task, ending: TaskResult | Interruption) -> None:
        """Record how it ended."""
        with _owned(task):
            if isinstance(ending, LeaseLost):
                raise ending
            self._finish(task, _ending_of(ending) if isinstance(ending, Interruption) else ending)

    def _finish(self, task: Task, ending: TaskResult) -> None:
        count = task.control.count
        self._persist(
            lambda: self._leases.finish(
                task.state.id,
                task.attempt,
                ending.status,
                outcome=ending.outcome,
                artefacts=ending.artefacts,
                error=ending.error,
                count=count if count.planned else None,
                work=task.control.work,
            )
        )
        log.info("explanation ended", status=ending.status, evaluations=count.evaluations)

    def _give_back(self, task: Task) -> None:
        with _owned(task):
            counts = not self._stop_requested
            self._persist(lambda: self._leases.release(task.state.id, task.attempt, counts=counts))
            log.info("given back")

    def _persist(self, write: Callable[[], T]) -> T:
        """Write to Redis, and wait for it if it is out; a result must not be lost with it."""
        return retry_while_down(write, "waiting for Redis", pause_s=0.25, patience_s=RESULT_RETRY_S)


@contextmanager
def _owned(task: Task) -> Iterator[None]:
    """Where the last word on a task is written, unless it is another's by now."""
    with structlog.contextvars.bound_contextvars(**task.marks):
        try:
            yield
        except (LeaseLost, FencedError):
            log.warning("lease lost: what was found is dropped")


def _guarded(explain: Explain, tasks: Sequence[Task]) -> Iterator[FinishedTask]:
    """The boundary of jobs: an unexpected error fails the one under way; the worker goes on.

    Several are left as they are, to be given back: which of them it was shows when each runs alone.
    """
    under_way = list(tasks)
    try:
        for task, ending in explain(tasks):
            under_way.remove(task)
            yield task, ending
    except Exception as error:
        log.exception("unexpected error", ids=[task.state.id for task in under_way])
        if len(under_way) == 1:
            yield under_way[0], failed_unexpectedly(error)


def _ending_of(interruption: Interruption) -> TaskResult:
    """How a task ends that was stopped and has no result."""
    if isinstance(interruption, DeadlineExceeded):
        return failed(ErrorCode.DEADLINE_EXCEEDED, "it ran for longer than the server allows")
    return TaskResult(Status.CANCELED)
