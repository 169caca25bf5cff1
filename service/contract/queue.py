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
from rq.serializers import JSONSerializer

EXPLAIN = "worker.jobs.explain"

# Fields of RQ's job hash that we read; callbacks, webhooks, meta, repeats and the rest are dropped.
_PLAIN_FIELDS = frozenset(b"data created_at origin description enqueued_at timeout status".split())


class RefusedJob(Exception):  # noqa: N818 - what happened, not whose fault
    """A job in Redis that this queue would never have written."""


class Job(rq.job.Job):
    """An RQ job that cannot carry code."""

    functions: ClassVar[dict[str, Callable[[str], None]]] = {}

    def __init__(
        self, id: str | None = None, connection: Any = None, serializer: Any = None
    ) -> None:
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        super().restore({name: raw_data[name] for name in _PLAIN_FIELDS if name in raw_data})

    @property
    def func(self) -> Callable[[str], None]:
        if self.instance is not None or self.func_name not in self.functions:
            raise RefusedJob(f"job {self.id} names {str(self.func_name)[:80]!r}, not on the list")
        return self.functions[self.func_name]

    @property
    def explanation_id(self) -> str:
        """The one argument; the job bears the same id. Raises RefusedJob for anything else."""
        if list(self.args) != [self.id] or self.kwargs:
            raise RefusedJob(f"job {self.id} has arguments that the API never gives")
        return str(self.id)


class Queue(rq.queue.Queue):
    """RQ's queue of our jobs."""

    job_class = Job


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
