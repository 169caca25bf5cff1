"""Everything of RQ that is ours or changed, so that an upgrade is read in one place.

RQ gives the queue, the job and the blocking read. Every promise about a job - lease, fencing,
cancel, deadline, drain - is ours, because RQ's own worker forks per job (a forked TensorFlow hangs)
and its in-process one renews no lease and cannot be interrupted. Each override says its reason.
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

DEQUEUE_RETRY_S = 1  # between two tries to take a job while Redis, or the right store, is out

log = structlog.get_logger(__name__)

# Fields of RQ's job hash that we read; callbacks, webhooks, meta, repeats and the rest are dropped.
_PLAIN_FIELDS = frozenset(b"data created_at origin description enqueued_at timeout status".split())


class RefusedJobError(Exception):
    """A job in Redis that this queue would never have written."""


class Job(rq.job.Job):
    """An RQ job that cannot carry code.

    Whoever can write to Redis must not be able to run code. Stock RQ unpickles what it reads and
    calls any importable function, callback or webhook named in a job; this class reads a handful of
    plain fields, decodes JSON, and looks its function up in a dictionary that the worker fills.
    """

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init__(
        self, id: str | None = None, connection: Any = None, serializer: Any = None
    ) -> None:
        """Whatever serializer is asked for, it is JSON: RQ's default is pickle."""
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        """Drops what could name a callback or a webhook."""
        super().restore({name: raw_data[name] for name in _PLAIN_FIELDS if name in raw_data})

    def _deserialize_data(self) -> None:
        """Refuses what is no call of a function by name: RQ also calls methods of instances."""
        try:
            super()._deserialize_data()  # type: ignore[no-untyped-call]
        except DeserializationError as error:
            raise RefusedJobError(f"job {self.id} is not JSON") from error
        plain = isinstance(self._func_name, str) and isinstance(self._args, list)
        if not plain or self._instance is not None or self._kwargs:
            raise RefusedJobError(f"job {self.id} is not a plain call")

    @property
    def func(self) -> Callable[..., Any]:
        """A function on the list: RQ imports any that is named."""
        if self.func_name not in self.functions:
            raise RefusedJobError(
                f"job {self.id} names {str(self.func_name)[:80]!r}, not on the list"
            )
        return self.functions[self.func_name]


class Queue(rq.queue.Queue):
    """RQ's queue of our jobs."""

    job_class = Job

    @classmethod
    def _fetch_dequeued_job(cls, *args: Any, **kwargs: Any) -> Any:
        """A hash that cannot be read is passed over, as one that is not there is."""
        try:
            return super()._fetch_dequeued_job(*args, **kwargs)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("job refused", reason=f"unreadable: {type(error).__name__}")
            return None


class Worker(rq.SimpleWorker):
    """RQ's loop, which takes one job at a time from one queue and hands it on."""

    job_class = Job
    queue_class = Queue
    dequeue_timeout = 1  # seconds, which a stop may take; the socket gives up after 5
    connection_timeout = 5

    def __init__(self, name: str, queue: str, connection: redis.Redis) -> None:
        super().__init__(
            [queue], name=name, connection=connection, serializer="json", worker_ttl=30
        )

    def may_take(self) -> bool:
        """Whether to take a job now. Raises `redis.RedisError`."""
        raise NotImplementedError

    def run_job(self, explain: Callable[..., Any], job: rq.job.Job) -> None:
        """Run a job of ours to its end. Raises RefusedJobError."""
        raise NotImplementedError

    def stop(self, signum: int) -> None:
        """A signal has come, in the middle of any line."""
        raise NotImplementedError

    # The loop

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[rq.job.Job, rq.Queue] | None:
        """The next job, once there is one and Redis gives it. Raises StopRequested.

        RQ's own waits out a lost connection only, not a Redis that is full or loading.
        """
        return retry_while_down(
            lambda: self._take(timeout), "no job can be begun", pause_s=DEQUEUE_RETRY_S
        )

    def _take(self, timeout: int | None) -> tuple[rq.job.Job, rq.Queue] | None:
        """A signal does not break it off: the job may be ours already, in an answer on its way."""
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

    def execute_job(self, job: rq.job.Job, queue: rq.Queue) -> None:
        """RQ's own records results, retries and callbacks; ours are in the explanation's hash.

        A job we would never have written is dropped.
        """
        try:
            self.run_job(job.func, job)
        except RefusedJobError as refusal:
            log.warning("job refused", reason=str(refusal))
            self.connection.lrem(queue.intermediate_queue_key, 0, str(job.id))
            self.connection.delete(Job.key_for(str(job.id)))

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """RQ's own breaks off the wait for a job, and ends the process at a second signal."""
        self._stop_requested = True
        self.stop(signum)

    # RQ's bookkeeping is informative only, so it must not end a worker while Redis is out

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

    # What RQ offers and we do not

    def check_for_suspension(self, burst: bool) -> None:
        """Not offered: stop the worker instead."""

    def run_maintenance_tasks(self) -> None:
        """Housekeeping does it; RQ's own is not safe beside others'."""
        self.last_cleaned_at = rq.utils.now()  # type: ignore[assignment]  # RQ says None

    def subscribe(self) -> None:
        """No command channel: who can write to Redis shall not command workers."""

    def procline(self, message: str) -> None:
        """Leaves the process's name alone."""


def _informative(write: Callable[..., Any], *arguments: Any) -> None:
    try:
        write(*arguments)
    except redis.RedisError as error:
        log.debug("not noted in Redis", what=write.__name__, reason=type(error).__name__)
