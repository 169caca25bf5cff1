"""The only file that knows OpenTelemetry's SDK; tracing.py imports it where traces are wanted."""

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
    """Takes the query out of a span: what it holds may not be for others."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if _QUERY in (span.attributes or {}):
            span.set_attribute(_QUERY, "…")


def make_provider(service: str) -> TracerProvider:
    """Spans go where the OTEL_EXPORTER_OTLP_… variables say; sampled as OTEL_TRACES_SAMPLER."""
    named = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(DropQueries())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def current_traceparent() -> str | None:
    """None where no span is under way."""
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
    """A span from `since` (ns of the epoch) until now; of a failure only its kind."""
    above = TraceContextTextMapPropagator().extract({"traceparent": parent} if parent else {})
    span = provider.get_tracer(NAME).start_span(
        name, context=above, kind=trace.SpanKind.INTERNAL, attributes=attributes, start_time=since
    )
    if failed:
        span.set_attribute("error.type", failed)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
