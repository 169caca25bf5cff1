"""The only module that imports OpenTelemetry's SDK; tracing.py imports it if tracing is on."""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

NAME = "shapshot"
_QUERY = "url.query"  # as FastAPI names it


class DropQueries(SpanProcessor):
    """Removes the URL query from spans, as it may hold private data."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if _QUERY in (span.attributes or {}):
            span.set_attribute(_QUERY, "…")


def make_provider(service: str) -> TracerProvider:
    """Make a provider that exports by OTEL_EXPORTER_OTLP_… and samples by OTEL_TRACES_SAMPLER."""
    named = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(DropQueries())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def current_traceparent() -> str | None:
    """Return the traceparent of the current span, None without one."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def record_span(
    provider: TracerProvider,
    name: str,
    parent: str | None,
    attributes: Mapping[str, str | int],
    since: int,
    failed: str | None,
) -> None:
    """Record a span from `since` (ns since the epoch) until now; failed: the error's type name."""
    above = TraceContextTextMapPropagator().extract({"traceparent": parent} if parent else {})
    span = provider.get_tracer(NAME).start_span(
        name, context=above, kind=trace.SpanKind.INTERNAL, attributes=attributes, start_time=since
    )
    if failed:
        span.set_attribute("error.type", failed)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
