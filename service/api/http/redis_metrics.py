"""Metrics read from Redis at each scrape, and so equal in every API process."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import get_args

import redis
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.jobs.redis_clock import measure_offset
from service.jobs.statistics import QueueStatistics, WaitingJobs, read_statistics
from service.schemas.documents import ErrorCode, Status
from service.schemas.requests import Method, Priority

OUTCOMES = [status.value for status in Status if status.done and status is not Status.EXPIRED]
OUTCOMES.append("deleted")  # while queued, before a worker took it
PLAIN_TOTALS = {
    "cache_hits": ("shapshot_cache_hits", "Explanations answered by an earlier result"),
    "cache_misses": ("shapshot_cache_misses", "Explanations computed that one might have answered"),
    "evaluations": ("shapshot_evaluations", "Pictures that went through a model"),
    "batches": ("shapshot_model_batches", "Calls of a model"),
    "slots": ("shapshot_model_batch_slots", "Pictures that the calls had room for"),
    "model_s": ("shapshot_model_forward_seconds", "Seconds in models"),
    "masking_s": ("shapshot_masking_seconds", "Seconds of masking, added up over threads"),
}

log = structlog.get_logger(__name__)


class RedisMetrics(Collector):
    """Totals of all workers, the queue and live workers; only an up metric while Redis is away."""

    def __init__(self, connection: redis.Redis, queue: str) -> None:
        self._redis = connection
        self._queue = queue

    def describe(self) -> list[Metric]:
        """Returns nothing, so that registering does not need Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            offset_s = measure_offset(self._redis)
            traffic = read_statistics(self._redis, self._queue)
        except redis.RedisError as error:
            log.warning("no metrics of Redis", reason=type(error).__name__)
            yield _gauge("shapshot_redis_up", "Whether Redis answers", 0)
            return
        yield _gauge("shapshot_redis_up", "Whether Redis answers", 1)
        said = "Seconds by which the clock of this API process is ahead of Redis's"
        yield _gauge("shapshot_clock_offset_seconds", said, offset_s)
        yield from _present(traffic)
        yield from _totals(traffic.totals)


def _present(traffic: QueueStatistics) -> Iterator[Metric]:
    """Queue length, running jobs and live workers."""
    yield from _lines(traffic.waiting)
    yield _gauge("shapshot_running_jobs", "Explanations that a worker has begun", traffic.running)
    yield _gauge("shapshot_workers", "Workers alive", len(traffic.workers))
    by_model = GaugeMetricFamily(
        "shapshot_model_workers", "Workers alive that serve a model", labels=["model"]
    )
    for model, count in sorted(Counter(chain(*traffic.workers.values())).items()):
        by_model.add_metric([model], count)
    yield by_model


def _lines(waiting: Mapping[Priority, WaitingJobs]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("shapshot_queue_jobs", "Explanations that wait", labels=["priority"])
    ages = GaugeMetricFamily(
        "shapshot_queue_oldest_age_seconds", "Age of the oldest that waits", labels=["priority"]
    )
    for priority, line in waiting.items():
        jobs.add_metric([priority], line.jobs)
        ages.add_metric([priority], line.oldest_s)
    yield from (jobs, ages)


def _totals(totals: Mapping[str, float]) -> Iterator[Metric]:
    for field, (name, said) in PLAIN_TOTALS.items():
        yield CounterMetricFamily(name, said, value=totals.get(field, 0))
    methods = get_args(Method)
    accepted = CounterMetricFamily("shapshot_jobs_accepted", "Jobs accepted", labels=["method"])
    ended = CounterMetricFamily("shapshot_jobs", "Jobs ended", labels=["outcome", "method"])
    for method in methods:
        accepted.add_metric([method], totals.get(f"accepted:{method}", 0))
        for outcome in OUTCOMES:
            ended.add_metric([outcome, method], totals.get(f"jobs:{outcome}:{method}", 0))
    failures = CounterMetricFamily("shapshot_job_failures", "Jobs that failed", labels=["code"])
    for code in ErrorCode:
        if (count := totals.get(f"failures:{code}")) is not None:
            failures.add_metric([code], count)
    yield from (accepted, ended, failures)


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)
