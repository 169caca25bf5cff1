"""Records OpenTelemetry spans if the variables OTEL_… name an exporter; needs the extra `otel`.

A process without tracing imports no OpenTelemetry. The trace continues from the API to the worker
in the explanation's JobSpec, as a `traceparent` of W3C Trace Context.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from service.infra.settings.telemetry import TraceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

CLOSE_S = 1.0  # longest wait for exporting the last spans: a stop must not be delayed
Attributes = Mapping[str, str | int]


class TracingUnavailableError(Exception):
    """Tracing is requested but unavailable; the message says what to do."""


def open_tracer(settings: TraceSettings, service: str) -> "Tracer":
    """Open the tracer of a process, named `service` unless OTEL_SERVICE_NAME is set.

    Raises TracingUnavailableError.
    """
    if not settings.wanted:
        return Tracer()
    if settings.traces_exporter != "otlp":
        raise TracingUnavailableError(
            f"OTEL_TRACES_EXPORTER is {settings.traces_exporter!r}; it must be otlp or none"
        )
    try:
        from service.infra.otlp import make_provider
    except ImportError as error:
        raise TracingUnavailableError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but {error.name} is not installed: "
            "pip install 'shapshot[otel]', or unset the variable"
        ) from error
    return Tracer(make_provider(service))


class Tracer:
    """Records the spans of one process; without a provider, does nothing."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self.provider = provider

    def traceparent(self) -> str | None:
        """Return the traceparent of the current span, to continue its trace elsewhere."""
        if self.provider is None:
            return None
        from service.infra.otlp import current_traceparent

        return current_traceparent()

    @contextmanager
    def span(self, name: str, parent: str | None, attributes: Attributes) -> Iterator[None]:
        """Record a span around a block."""
        since = time.time_ns()
        failed: str | None = None
        try:
            yield
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            self.record(name, parent, attributes, since=since, failed=failed)

    def record(
        self,
        name: str,
        parent: str | None,
        attributes: Attributes,
        *,
        since: int,
        failed: str | None = None,
    ) -> None:
        """Record a span from `since` (ns since the epoch) until now, under `parent`."""
        if self.provider is None:
            return
        from service.infra.otlp import record_span

        record_span(self.provider, name, parent, dict(attributes), since, failed)

    def close(self) -> None:
        """Export the remaining spans, within CLOSE_S."""
        if self.provider is None:
            return
        sending = Thread(target=self.provider.shutdown, daemon=True)
        sending.start()
        sending.join(CLOSE_S)
