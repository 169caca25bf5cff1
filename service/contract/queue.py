"""The RQ job both sides use: JSON only, and only functions on a list.

Whoever can write to Redis must not be able to run code. Stock RQ unpickles what it reads and calls
any importable function, callback or webhook named in a job; this class reads a handful of plain
fields, decodes JSON, and looks its function up in a dictionary that the worker fills.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import redis
import rq.job
import rq.queue
import structlog
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from rq.exceptions import DeserializationError
from rq.serializers import JSONSerializer

from service.contract.names import EXPLANATION_ID

EXPLAIN = "worker.jobs.explain"

log = structlog.get_logger(__name__)

# Fields of RQ's job hash that we read; callbacks, webhooks, meta, repeats and the rest are dropped.
_PLAIN_FIELDS = frozenset(b"data created_at origin description enqueued_at timeout status".split())


class RefusedJob(Exception):  # noqa: N818 - what happened, not whose fault
    """A job in Redis that this queue would never have written."""


class Job(rq.job.Job):
    """An RQ job that cannot carry code."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init__(
        self, id: str | None = None, connection: Any = None, serializer: Any = None
    ) -> None:
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        super().restore({name: raw_data[name] for name in _PLAIN_FIELDS if name in raw_data})

    def _deserialize_data(self) -> None:
        try:
            super()._deserialize_data()  # type: ignore[no-untyped-call]
        except DeserializationError as error:
            raise RefusedJob(f"job {self.id} is not JSON") from error
        plain = isinstance(self._func_name, str) and isinstance(self._args, list)
        if not plain or self._instance is not None or self._kwargs:
            raise RefusedJob(f"job {self.id} is not a plain call")

    @property
    def func(self) -> Callable[..., Any]:
        if self.func_name not in self.functions:
            raise RefusedJob(f"job {self.id} names {str(self.func_name)[:80]!r}, not on the list")
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


def only_argument(job: rq.job.Job) -> str:
    """The explanation's id, which is the job's too. Raises RefusedJob for any other arguments."""
    if not EXPLANATION_ID.fullmatch(str(job.id)):  # it names files, too
        raise RefusedJob(f"job {str(job.id)[:80]!r} has not the id of an explanation")
    if job.args != [job.id]:
        raise RefusedJob(f"job {job.id} has arguments that the API never gives")
    return str(job.id)


def connect(url: str, **options: Any) -> redis.Redis:
    """A client that notices a silent Redis within 5 s and tries a broken connection once more."""
    retry = Retry(ExponentialBackoff(cap=0.5), retries=1)
    defaults: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 2, "retry": retry}
    return redis.Redis.from_url(url, **(defaults | options))


def new_job(
    explanation_id: str, *, queue: str, timeout_s: int, connection: redis.Redis
) -> rq.job.Job:
    """A job for `explanation_id`, not yet in Redis."""
    return Job.create(
        EXPLAIN,
        args=[explanation_id],
        id=explanation_id,
        origin=queue,
        status=rq.job.JobStatus.QUEUED,
        timeout=timeout_s,
        connection=connection,
    )
