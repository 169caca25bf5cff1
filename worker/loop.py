"""The worker: RQ's loop around one process that keeps its models.

RQ gives the queue, the job and the blocking read; every promise about a job - lease, fencing,
cancel, deadline, drain - is ours, because RQ's own worker forks per job (a forked TensorFlow
hangs) and its in-process one renews no lease and cannot be interrupted.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import redis
import rq
import structlog
from rq.exceptions import StopRequested

from service.contract.ledger import Fenced, Ledger, State
from service.contract.queue import Job, Queue, RefusedJob, only_argument
from service.contract.schema import ErrorCode, Status
from service.contract.settings import Settings
from worker.control import Canceled, Control, DeadlineExceeded, Draining, LeaseLost
from worker.ending import Ending, failed
from worker.lease import Lease

PATIENCE_S = 120  # how long a result waits for Redis to come back
Explain = Callable[[State, str, Control], Ending]

log = structlog.get_logger(__name__)


class ModelWorker(rq.SimpleWorker):
    """Takes one job at a time from one queue and ends each exactly once."""

    job_class = Job
    queue_class = Queue
    max_connection_wait_time = 2.0  # seconds between tries while Redis is gone
    dequeue_timeout = 2  # seconds; the socket gives up after 5
    connection_timeout = 5

    def __init__(
        self, name: str, connection: redis.Redis, ledger: Ledger, settings: Settings
    ) -> None:
        super().__init__(
            [settings.queue], name=name, connection=connection, serializer="json", worker_ttl=30
        )
        self._ledger = ledger
        self._settings = settings
        self._control: Control | None = None

    # --- One job

    def execute_job(self, job: rq.job.Job, queue: rq.Queue) -> None:
        """Run a job of ours to its end; a job we would never have written is dropped."""
        try:
            explain, explanation_id = job.func, only_argument(job)
        except RefusedJob as refusal:
            log.warning("job refused", reason=str(refusal))
            self._drop(str(job.id), queue)
            return
        attempt = self._persist(lambda: self._ledger.begin(explanation_id))
        state = self._ledger.read(explanation_id) if attempt else None
        if attempt and state:
            self._run(state, attempt, explain)

    def _run(self, state: State, attempt: str, explain: Explain) -> None:
        control = self._control = Control(deadline_s=self._settings.deadline_s)
        if self._stop_requested:  # the signal came before there was a control to tell
            control.interrupt(Draining)
        with structlog.contextvars.bound_contextvars(id=state.id, attempt=attempt):
            try:
                with Lease(
                    self._ledger, state.id, attempt, control, grace_s=self._settings.grace_s
                ):
                    ending = _guarded(explain, state, attempt, control)
                    self._conclude(state.id, attempt, control, ending)
            except (LeaseLost, Fenced):
                log.warning("lease lost: what was found is dropped")
            except Draining:
                self._persist(lambda: self._ledger.release(state.id, attempt))
                log.info("given back")
            finally:
                self._control = None

    def _conclude(self, id_: str, attempt: str, control: Control, ending: Ending) -> None:
        count = control.count if control.count.planned else None
        self._persist(
            lambda: self._ledger.finish(
                id_, attempt, ending.status, outcome=ending.outcome, error=ending.error, count=count
            )
        )
        log.info("explanation ended", status=ending.status, evaluations=control.count.evaluations)

    def _persist(self, write: Callable[[], Any]) -> Any:
        """Write to Redis, and wait for it if it is gone; a result must not be lost with it."""
        patience = time.monotonic() + PATIENCE_S
        while True:
            try:
                return write()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if time.monotonic() > patience:
                    raise
                log.warning("waiting for Redis", reason=type(error).__name__)
                time.sleep(0.25)

    def _drop(self, job_id: str, queue: rq.Queue) -> None:
        """Take a refused job out of Redis."""
        self.connection.lrem(queue.intermediate_queue_key, 0, job_id)
        self.connection.delete(Job.key_for(job_id))

    # --- Signals

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish the batch at hand, give the job back to the front of the queue, and stop."""
        log.info("stopping", signal=signal.Signals(signum).name)
        self._stop_requested = True
        if self._control is None:
            raise StopRequested
        self._control.interrupt(Draining)

    # --- RQ's own bookkeeping: informative only, so it must not end a worker while Redis is gone

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        _informative(super().heartbeat, timeout, pipeline)

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


def _guarded(explain: Explain, state: State, attempt: str, control: Control) -> Ending:
    """The boundary of a job: an unexpected error fails this job, and the worker goes on."""
    try:
        return explain(state, attempt, control)
    except Canceled:
        return Ending(Status.CANCELED)
    except DeadlineExceeded:
        return failed(ErrorCode.DEADLINE_EXCEEDED, "it ran for longer than the server allows")
    except Exception as error:  # the trace goes to the log, never to a client
        log.exception("unexpected error")
        detail = f"an unexpected error in the worker ({type(error).__name__}); its log has more"
        return failed(ErrorCode.INTERNAL, detail)


def _informative(write: Callable[..., Any], *arguments: Any) -> None:
    try:
        write(*arguments)
    except redis.RedisError as error:
        log.debug("not noted in Redis", what=write.__name__, reason=type(error).__name__)
