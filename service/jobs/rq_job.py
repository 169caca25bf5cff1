"""The RQ job of an explanation, as the API writes it and the worker reads it."""

import redis
import rq.job
from rq.job import JobStatus
from rq.utils import utcformat

from service.jobs.redis_keys import JOB_ID
from service.jobs.rq_adapter import Job, RefusedJobError

EXPLAIN = "worker.jobs.explain"


def new_job(
    explanation_id: str, *, queue: str, timeout_s: int, connection: redis.Redis
) -> rq.job.Job:
    """Create a job for `explanation_id`, not yet in Redis."""
    return Job.create(
        EXPLAIN,
        args=[explanation_id],
        id=explanation_id,
        origin=queue,
        status=JobStatus.QUEUED,
        timeout=timeout_s,
        connection=connection,
    )


def new_job_hash(
    explanation_id: str, *, queue: str, timeout_s: int, connection: redis.Redis
) -> dict[str, str]:
    """Return the fields that `Job` reads, as text; `data` may be compressed or not."""
    job = new_job(explanation_id, queue=queue, timeout_s=timeout_s, connection=connection)
    return {
        "created_at": utcformat(job.created_at),
        "data": job.data.decode(),
        "description": str(job.description),
        "origin": queue,
        "status": JobStatus.QUEUED.value,
        "timeout": str(timeout_s),
    }


def only_argument(job: rq.job.Job) -> str:
    """Return the only argument: the explanation's id, which is also the job's id.

    Raises RefusedJobError for any other arguments.
    """
    if not JOB_ID.fullmatch(str(job.id)):  # it becomes part of file names
        raise RefusedJobError(f"job {str(job.id)[:80]!r} does not have the id of an explanation")
    if job.args != [job.id]:
        raise RefusedJobError(f"job {job.id} has other arguments than its id")
    return str(job.id)
