"""Metrics read from Redis at each scrape, and so equal in every API process."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import get_args

import redis
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.jobs.records import SCORES_METHOD
from service.jobs.redis_clock import measure_offset
from service.jobs.statistics import read_statistics
from service.jobs.webhook_scripts import DeliveryFailure
from service.schemas.documents import ErrorCode, Status
from service.schemas.requests import Method

OUTCOMES = [status.value for status in Status if status.done and status is not Status.EXPIRED]
OUTCOMES.append("deleted")  # while queued, before a worker took it
PLAIN_TOTALS = {
    "cache_hits": ("shapshot_cache_hits", "Explanations answered from the cache"),
    "cache_misses": ("shapshot_cache_misses", "Cacheable explanations that had to be computed"),
    "evaluations": ("shapshot_evaluations", "Pictures scored by a model"),
    "batches": ("shapshot_model_batches", "Batches of pictures scored by a model"),
    "slots": ("shapshot_model_batch_slots", "Capacity of these batches, in pictures"),
    "model_s": ("shapshot_model_forward_seconds", "Seconds spent in the model"),
    "masking_s": ("shapshot_masking_seconds", "Seconds spent on masking, summed over threads"),
}

log = structlog.get_logger(__name__)


class RedisMetrics(Collector):
    """The queue, live workers and totals of all jobs; while Redis is down, only that it is."""

    def __init__(self, connection: redis.Redis, queue: str) -> None:
        self._redis = connection
        self._queue = queue

    def describe(self) -> list[Metric]:
        """Returns nothing, so that registering does not need Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            offset_s = measure_offset(self._redis)
            statistics = read_statistics(self._redis, self._queue)
        except redis.RedisError as error:
            log.warning("Redis metrics unavailable", reason=type(error).__name__)
            yield _gauge("shapshot_redis_up", "1 if Redis responds, else 0", 0)
            return
        yield _gauge("shapshot_redis_up", "1 if Redis responds, else 0", 1)
        documentation = "Seconds by which the clock of this API process is ahead of Redis's"
        yield _gauge("shapshot_clock_offset_seconds", documentation, offset_s)
        jobs = GaugeMetricFamily(
            "shapshot_queue_jobs", "Explanations waiting for a worker", labels=["priority"]
        )
        ages = GaugeMetricFamily(
            "shapshot_queue_oldest_age_seconds",
            "Age of the explanation that has waited longest",
            labels=["priority"],
        )
        for priority, waiting in statistics.waiting.items():
            jobs.add_metric([priority], waiting.jobs)
            ages.add_metric([priority], waiting.oldest_s)
        yield from (jobs, ages)
        running = statistics.running
        yield _gauge("shapshot_running_jobs", "Explanations that a worker has started", running)
        yield _gauge("shapshot_workers", "Live workers", len(statistics.workers))
        by_model = GaugeMetricFamily(
            "shapshot_model_workers", "Live workers that serve the model", labels=["model"]
        )
        for model, count in sorted(Counter(chain(*statistics.workers.values())).items()):
            by_model.add_metric([model], count)
        yield by_model
        webhooks = GaugeMetricFamily(
            "shapshot_webhooks", "Webhooks that are enabled or disabled", labels=["state"]
        )
        webhooks.add_metric(["enabled"], statistics.webhooks.enabled)
        webhooks.add_metric(["disabled"], statistics.webhooks.disabled)
        yield webhooks
        yield _gauge(
            "shapshot_webhook_deliveries_waiting",
            "Deliveries that wait for an attempt, of enabled webhooks",
            statistics.webhooks.waiting,
        )
        yield from _totals(statistics.totals)
        yield from _webhook_totals(statistics.totals)


def _totals(totals: Mapping[str, float]) -> Iterator[Metric]:
    for field, (name, documentation) in PLAIN_TOTALS.items():
        yield CounterMetricFamily(name, documentation, value=totals.get(field, 0))
    methods = (*get_args(Method), SCORES_METHOD)
    accepted = CounterMetricFamily("shapshot_jobs_accepted", "Accepted jobs", labels=["method"])
    ended = CounterMetricFamily("shapshot_jobs", "Finished jobs", labels=["outcome", "method"])
    for method in methods:
        accepted.add_metric([method], totals.get(f"accepted:{method}", 0))
        for outcome in OUTCOMES:
            ended.add_metric([outcome, method], totals.get(f"jobs:{outcome}:{method}", 0))
    failures = CounterMetricFamily("shapshot_job_failures", "Failed jobs", labels=["code"])
    for code in ErrorCode:
        if (count := totals.get(f"failures:{code}")) is not None:
            failures.add_metric([code], count)
    yield from (accepted, ended, failures)


def _webhook_totals(totals: Mapping[str, float]) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "shapshot_webhook_deliveries",
        "Deliveries that succeeded, were given up, or were never queued",
        labels=["outcome"],
    )
    for outcome in ("delivered", "failed", "missed"):
        ended.add_metric([outcome], totals.get(f"deliveries:{outcome}", 0))
    failures = CounterMetricFamily(
        "shapshot_webhook_failed_attempts", "Attempts that failed, by reason", labels=["reason"]
    )
    for reason in get_args(DeliveryFailure):
        failures.add_metric([reason], totals.get(f"delivery_failures:{reason}", 0))
    disabled = CounterMetricFamily(
        "shapshot_webhooks_disabled", "Webhooks that the service disabled", labels=["reason"]
    )
    for reason in ("gone", "failing"):
        disabled.add_metric([reason], totals.get(f"webhooks_disabled:{reason}", 0))
    yield from (ended, failures, disabled)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)
