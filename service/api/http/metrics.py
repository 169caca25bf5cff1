"""Metrics that one API process counts.

Label values are few and known in advance: route templates, not paths; codes, not messages.
"""

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.routing import Mount, Route
from starlette.types import Scope

from service.api.http.allowed_methods import HTTP_METHODS
from service.api.http.conditional import preferred_wait

# Bucket bounds
DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
KNOWN_METHODS = frozenset({*HTTP_METHODS, "HEAD", "OPTIONS"})
UNMATCHED_ROUTE = "unmatched"  # the route label of paths that match no route


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.in_progress = Gauge(
            "shapshot_http_requests_in_progress",
            "Requests in progress, streams included",
            registry=self.registry,
        )
        self._requests = Histogram(
            "shapshot_http_request_duration_seconds",
            "Seconds until the response started; waits: whether it waits, as by Prefer: wait",
            ["route", "method", "status", "waits"],
            buckets=DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self._problems = Counter(
            "shapshot_problems",
            "Problem responses, by code",
            ["code"],
            registry=self.registry,
        )
        self.damaged = Counter(
            "shapshot_damaged_artefacts",
            "Reads of an artifact that differs from what was written",
            registry=self.registry,
        )

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Counts a response; seconds: from the request to the start of the response."""
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "OTHER"
        asked = preferred_wait(Request(scope)) is not None
        waits = "yes" if asked or scope.get("waits") else "no"
        self._requests.labels(route_of(scope), method, str(status), waits).observe(seconds)
        if problem := scope.get("problem"):
            self._problems.labels(problem).inc()


def route_of(scope: Scope) -> str:
    """Returns the route template of a request, as in `/v1/explanations/{explanation_id}`."""
    route = scope.get("route")
    return route.path if isinstance(route, Route | Mount) else UNMATCHED_ROUTE
