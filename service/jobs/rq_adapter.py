"""Subclasses of RQ: every override in one file, to review when RQ is upgraded.

RQ provides the queue, the job and the blocking read. Lease, fencing, cancellation, deadline and
drain are implemented here, because RQ's default worker forks per job (a forked TensorFlow hangs)
and its SimpleWorker renews no lease and cannot be interrupted. Each override states its reason.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, ClassVar

import redis
import rq
import rq.job
import rq.queue
import rq.utils
import structlog
from rq.exceptions import DequeueTimeout, DeserializationError, StopRequested
from rq.serializers import JSONSerializer

from service.jobs.redis_retry import retry_while_down

DEQUEUE_RETRY_S = 1  # between two attempts to dequeue while Redis is down or the store is wrong

log = structlog.get_logger(__name__)

# Fields read from RQ's job hash; callbacks, webhooks, meta, repeats and the rest are dropped.
_PLAIN_FIELDS = frozenset(b"data created_at origin description enqueued_at timeout status".split())


class RefusedJobError(Exception):
    """A job in Redis that this service did not write."""


class Job(rq.job.Job):
    """An RQ job that cannot carry code.

    Write access to Redis must not allow running code. Stock RQ unpickles job data and calls any
    importable function, callback or webhook named in a job; this class reads a few plain fields,
    decodes JSON, and looks its function up in a dictionary that the worker fills.
    """

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init__(
        self, id: str | None = None, connection: Any = None, serializer: Any = None
    ) -> None:
        """Ignore `serializer` and use JSON: RQ's default is pickle."""
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        """Keep plain fields only: others could name a callback or a webhook."""
        super().restore({name: raw_data[name] for name in _PLAIN_FIELDS if name in raw_data})

    def _deserialize_data(self) -> None:
        """Accept only a call of a function by name: RQ also calls methods of instances."""
        try:
            super()._deserialize_data()  # type: ignore[no-untyped-call]
        except DeserializationError as error:
            raise RefusedJobError(f"the data of job {self.id} is not JSON") from error
        plain = isinstance(self._func_name, str) and isinstance(self._args, list)
        if not plain or self._instance is not None or self._kwargs:
            raise RefusedJobError(
                f"job {self.id} is not a call of a function with positional arguments only"
            )

    @property
    def func(self) -> Callable[..., Any]:
        """Return a registered function: RQ imports any function by name."""
        if self.func_name not in self.functions:
            name = str(self.func_name)[:80]
            raise RefusedJobError(f"job {self.id} calls {name!r}, which is not registered")
        return self.functions[self.func_name]


class Queue(rq.queue.Queue):
    """RQ's queue, with `Job` as its job class."""

    job_class = Job

    @classmethod
    def _fetch_dequeued_job(cls, *args: Any, **kwargs: Any) -> Any:
        """Skip an unreadable job hash, as RQ skips a missing one."""
        try:
            return super()._fetch_dequeued_job(*args, **kwargs)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("job refused", reason=f"unreadable: {type(error).__name__}")
            return None


class Worker(rq.SimpleWorker):
    """RQ's worker loop: takes one job at a time from one queue and calls `run_job`."""

    job_class = Job
    queue_class = Queue
    dequeue_timeout = 1  # seconds, the longest delay of a stop; less than the socket timeout of 5
    connection_timeout = 5

    def __init__(self, name: str, queue: str, connection: redis.Redis) -> None:
        super().__init__(
            [queue], name=name, connection=connection, serializer="json", worker_ttl=30
        )

    def may_take(self) -> bool:
        """Return whether to take a job now. Raises `redis.RedisError`."""
        raise NotImplementedError

    def run_job(self, explain: Callable[..., Any], job: rq.job.Job) -> None:
        """Run a job to its end. Raises RefusedJobError."""
        raise NotImplementedError

    def stop(self, signum: int) -> None:
        """Handle a stop signal; may run between any two bytecodes."""
        raise NotImplementedError

    # The loop

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[rq.job.Job, rq.Queue] | None:
        """Wait for the next job, also through outages of Redis. Raises StopRequested.

        RQ's method waits out a lost connection, but not a Redis that is full or loading.
        """

        def take() -> tuple[rq.job.Job, rq.Queue] | None:
            """Dequeue without interruption by a signal: the reply may already carry a job."""
            while not self._stop_requested:
                self.heartbeat()
                if not self.may_take():  # the job waits
                    time.sleep(DEQUEUE_RETRY_S)
                    continue
                with suppress(DequeueTimeout):
                    return Queue.dequeue_any(
                        self.queues, timeout, self.connection, Job, self.serializer
                    )
            raise StopRequested

        return retry_while_down(take, "no job can be started", pause_s=DEQUEUE_RETRY_S)

    def execute_job(self, job: rq.job.Job, queue: rq.Queue) -> None:
        """Run the job; drop one that this service did not write.

        RQ's method records results, retries and callbacks; here the explanation's hash has them.
        """
        try:
            self.run_job(job.func, job)
        except RefusedJobError as refusal:
            log.warning("job refused", reason=str(refusal))
            self.connection.lrem(queue.intermediate_queue_key, 0, str(job.id))
            self.connection.delete(Job.key_for(str(job.id)))

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal: RQ's method interrupts the dequeue, and exits on a second signal."""
        self._stop_requested = True
        self.stop(signum)

    # RQ's bookkeeping is informational, so its failure must not end a worker while Redis is down

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

    # Disabled features of RQ

    def check_for_suspension(self, burst: bool) -> None:
        """Disable suspension: stop the worker instead."""

    def run_maintenance_tasks(self) -> None:
        """Skip RQ's maintenance, which is unsafe with several workers: see maintenance.py."""
        self.last_cleaned_at = rq.utils.now()  # type: ignore[assignment]  # RQ says None

    def subscribe(self) -> None:
        """Disable RQ's command channel: write access to Redis must not control workers."""

    def procline(self, message: str) -> None:
        """Keep the process title."""


def _informative(write: Callable[..., Any], *arguments: Any) -> None:
    try:
        write(*arguments)
    except redis.RedisError as error:
        log.debug("RQ bookkeeping failed", what=write.__name__, reason=type(error).__name__)
