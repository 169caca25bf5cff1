"""The worker: RQ's loop around one process that keeps its models.

RQ gives the queue, the job and the blocking read; every promise about a job - lease, fencing,
cancel, deadline, drain - is ours, because RQ's own worker forks per job (a forked TensorFlow
hangs) and its in-process one renews no lease and cannot be interrupted.
"""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

import redis
import rq
import structlog
from rq.exceptions import DequeueTimeout, StopRequested

from service.contract.identity import Identity
from service.contract.ledger import Fenced, Ledger
from service.contract.queue import Job, Queue, RefusedJob, only_argument
from service.contract.schema import ErrorCode, Failure, Status
from service.contract.settings import Settings
from service.contract.store import StoreError
from worker.control import Control, DeadlineExceeded, Draining, LeaseLost
from worker.ending import Ended, Ending, Explain, Task, failed
from worker.engine.control import Interruption
from worker.lease import Leases
from worker.patience import outlast

T = TypeVar("T")

PATIENCE_S = 120  # how long a result waits for Redis to come back
TRY_AGAIN_S = 1  # between two tries to take a job while Redis, or the right store, is out

log = structlog.get_logger(__name__)


class ModelWorker(rq.SimpleWorker):
    """Takes one job at a time from one queue, with what waits of its batch; each ends once."""

    job_class = Job
    queue_class = Queue
    dequeue_timeout = 1  # seconds, which a stop may take; the socket gives up after 5
    connection_timeout = 5

    def __init__(
        self,
        name: str,
        connection: redis.Redis,
        ledger: Ledger,
        settings: Settings,
        identity: Identity,
    ) -> None:
        super().__init__(
            [settings.queue], name=name, connection=connection, serializer="json", worker_ttl=30
        )
        self._ledger = ledger
        self._settings = settings
        self._identity = identity
        self._tasks: list[Task] = []  # begun, of the job at hand

    # --- Whose turn it is

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[rq.job.Job, rq.Queue] | None:
        """The next job, once there is one and Redis gives it. Raises StopRequested."""
        return outlast(lambda: self._take(timeout), "no job can be begun", pause_s=TRY_AGAIN_S)

    def _take(self, timeout: int | None) -> tuple[rq.job.Job, rq.Queue] | None:
        """A signal does not break it off: the job may be ours already, in an answer on its way."""
        while not self._stop_requested:
            self.heartbeat()
            if not self._finds_pictures():  # the job waits
                time.sleep(TRY_AGAIN_S)
                continue
            with suppress(DequeueTimeout):
                return Queue.dequeue_any(
                    self.queues, timeout, self.connection, Job, self.serializer
                )
        raise StopRequested

    def _finds_pictures(self) -> bool:
        """Whether the store was seen to be the one that they are in. Raises `redis.RedisError`."""
        try:
            return self._identity.fits or self._identity.look().store_fits
        except StoreError:
            return False

    # --- One job

    def execute_job(self, job: rq.job.Job, queue: rq.Queue) -> None:
        """Run a job of ours to its end; a job we would never have written is dropped."""
        try:
            explain, explanation_id = job.func, only_argument(job)
        except RefusedJob as refusal:
            log.warning("job refused", reason=str(refusal))
            self._drop(str(job.id), queue)
            return
        self._tasks = []
        self._begin_all(explanation_id)
        self._run(explain)

    def _begin_all(self, explanation_id: str) -> None:
        """Begin it, and with it what has never been begun of its batch.

        An explanation that was lost with its worker, or broken off by an error among several, runs
        alone: should it be what does that, it takes no others with it.
        """
        first = self._begin(explanation_id)
        if first and first.state.attempts == 1:
            for sibling in self._persist(lambda: self._ledger.fresh_siblings(first.state)):
                self._begin(sibling)

    def _begin(self, explanation_id: str) -> Task | None:
        """Begin it, if nobody has. The n-th to run side by side may take as long as n in a row."""
        attempt = self._persist(lambda: self._ledger.begin(explanation_id))
        if not attempt:
            return None
        state = self._persist(lambda: self._ledger.read(explanation_id))
        if not state:
            self._fail_unread(explanation_id, attempt)
            return None
        control = Control(deadline_s=self._settings.deadline_s * (len(self._tasks) + 1))
        task = Task(state, attempt, control)
        self._tasks.append(task)
        log.info("explanation begun", **task.marks)
        if self._stop_requested:  # the signal came before there was a control to tell
            control.interrupt(Draining)
        return task

    def _fail_unread(self, explanation_id: str, attempt: str) -> None:
        """End what has begun and cannot be read: whoever wrote it, it is not tried again."""
        error = Failure(code=ErrorCode.INTERNAL, detail="its record in Redis cannot be read")
        with suppress(Fenced):
            self._persist(
                lambda: self._ledger.finish(explanation_id, attempt, Status.FAILED, error=error)
            )
        log.warning("explanation refused", id=explanation_id, reason=error.detail)

    def _run(self, explain: Explain) -> None:
        with Leases(self._ledger, self._tasks, grace_s=self._settings.grace_s) as leases:
            for task, ending in _guarded(explain, self._tasks):
                if isinstance(ending, Draining):
                    continue
                self._conclude(task, ending)
                leases.give_up(task)
                for place, other in enumerate(leases.held, 1):
                    other.control.hasten(place * self._settings.deadline_s)
            for task in reversed(leases.held):  # the first comes to the very front
                self._give_back(task)

    def _conclude(self, task: Task, ending: Ending | Interruption) -> None:
        """Record how it ended."""
        with _owned(task):
            if isinstance(ending, LeaseLost):
                raise ending
            self._finish(task, _ending_of(ending) if isinstance(ending, Interruption) else ending)

    def _finish(self, task: Task, ending: Ending) -> None:
        count = task.control.count
        self._persist(
            lambda: self._ledger.finish(
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
            self._persist(lambda: self._ledger.release(task.state.id, task.attempt, counts=counts))
            log.info("given back")

    def _persist(self, write: Callable[[], T]) -> T:
        """Write to Redis, and wait for it if it is out; a result must not be lost with it."""
        return outlast(write, "waiting for Redis", pause_s=0.25, patience_s=PATIENCE_S)

    def _drop(self, job_id: str, queue: rq.Queue) -> None:
        """Take a refused job out of Redis."""
        self.connection.lrem(queue.intermediate_queue_key, 0, job_id)
        self.connection.delete(Job.key_for(job_id))

    # --- Signals

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish the batch at hand, give what is not done back to the queue's front, and stop."""
        self._stop_requested = True
        for task in self._tasks:
            task.control.interrupt(Draining)
        # Last, as it may fail where the signal came in the middle of another line
        log.info("stopping", signal=signal.Signals(signum).name)

    # --- RQ's own bookkeeping: informative only, so it must not end a worker while Redis is out

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        _informative(super().heartbeat, timeout, pipeline)

    def _set_ip_address(self, connection: redis.Redis) -> None:
        self.ip_address = "unknown"
        _informative(super()._set_ip_address, connection)

    def register_birth(self) -> None:
        _informative(super().register_birth)

    def set_state(self, state: str, pipeline: Any = None) -> None:
        _informative(super().set_state, state, pipeline)

    def register_death(self) -> None:
        _informative(super().register_death)

    def check_for_suspension(self, burst: bool) -> None:
        """Not offered: stop the worker instead."""

    def run_maintenance_tasks(self) -> None:
        """Housekeeping does it; RQ's own is not safe beside others'."""
        self.last_cleaned_at = rq.utils.now()  # type: ignore[assignment]  # RQ says None

    def subscribe(self) -> None:
        """No command channel: who can write to Redis shall not command workers."""

    def procline(self, message: str) -> None:
        """Leaves the process's name alone."""


@contextmanager
def _owned(task: Task) -> Iterator[None]:
    """Where the last word on a task is written, unless it is another's by now."""
    with structlog.contextvars.bound_contextvars(**task.marks):
        try:
            yield
        except (LeaseLost, Fenced):
            log.warning("lease lost: what was found is dropped")


def _guarded(explain: Explain, tasks: Sequence[Task]) -> Iterator[Ended]:
    """The boundary of jobs: an unexpected error fails the one under way; the worker goes on.

    Several are left as they are, to be given back: which of them it was shows when each runs alone.
    """
    under_way = list(tasks)
    try:
        for task, ending in explain(tasks):
            under_way.remove(task)
            yield task, ending
    except Exception as error:  # the trace goes to the log, never to a client
        log.exception("unexpected error", ids=[task.state.id for task in under_way])
        detail = f"an unexpected error in the worker ({type(error).__name__}); its log has more"
        if len(under_way) == 1:
            yield under_way[0], failed(ErrorCode.INTERNAL, detail)


def _ending_of(interruption: Interruption) -> Ending:
    """How a task ends that was stopped and has no result."""
    if isinstance(interruption, DeadlineExceeded):
        return failed(ErrorCode.DEADLINE_EXCEEDED, "it ran for longer than the server allows")
    return Ending(Status.CANCELED)


def _informative(write: Callable[..., Any], *arguments: Any) -> None:
    try:
        write(*arguments)
    except redis.RedisError as error:
        log.debug("not noted in Redis", what=write.__name__, reason=type(error).__name__)
