"""Spans by OpenTelemetry's SDK, sent as OTLP over HTTP. The only file that knows it; needs the extra `otel`.

Nothing is instrumented on its own, and of an error only its kind is told: its words may quote a request.
"""

from collections.abc import Mapping
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.tracing import Facts, Span

SERVICE = "hrm-serve"
_CONTEXT = TraceContextTextMapPropagator()


class OtelTracer:
    """Spans for one server. See `server.tracing.Tracer`."""

    def __init__(self, processor: SpanProcessor) -> None:
        own = Resource.create({"service.name": SERVICE, "service.version": version(SERVICE)})
        self._provider = TracerProvider(resource=own, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SERVICE, version(SERVICE))

    def request(self, name: str, facts: Facts, headers: Mapping[str, str]) -> Span:
        carrier = {field: headers[field] for field in _CONTEXT.fields if field in headers}
        parent = _CONTEXT.extract(carrier, context=trace.set_span_in_context(trace.INVALID_SPAN))
        started = self._tracer.start_span(name, parent, kind=SpanKind.SERVER, attributes=facts)
        return _OtelSpan(self._tracer, started)

    def close(self) -> None:
        """Send what has not been sent, for as long as an attempt may take, and stop."""
        self._provider.shutdown()


class _OtelSpan:
    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer, self._span = tracer, span

    def child(self, name: str, facts: Facts) -> Span:
        # The model runs in this process, so that no span is a client's.
        within = trace.set_span_in_context(self._span)
        return _OtelSpan(self._tracer, self._tracer.start_span(name, within, SpanKind.INTERNAL, facts))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, facts: Facts) -> None:
        self._span.set_attributes(facts)

    def end(self, error: str | None = None) -> None:
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def exporting(endpoint: str) -> OtelTracer:
    """Spans for a collector, in batches and from a thread of their own; those that it does not take are dropped.

    Args:
        endpoint: the base URL; the path of the protocol is added.
    """
    return OtelTracer(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
