"""OpenTelemetry, which FastAPI speaks by itself: when it is on, and what a span tells of a request.

FastAPI asks three registries on every request whether somebody listens, which costs 4 µs. It is therefore
switched off unless the environment names an OTLP endpoint, or a provider was set before the application was
made (`opentelemetry-instrument` does so).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import metrics, trace

from service.watch import Watch

REQUEST = "fastapi.telemetry"
"""The key under which the scope of an observed request holds FastAPI's record of it."""

_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def configuration(unobserved: Iterable[str]) -> TelemetryConfig:
    """How FastAPI shall observe: a span and a duration for each request but those to the paths given.

    Log records are not sent: they would hold tracebacks, which belong into our log alone.
    """
    if not (_exports() or _is_set(trace.get_tracer_provider()) or _is_set(metrics.get_meter_provider())):
        return OFF
    paths = frozenset(unobserved)
    return {
        "logs": False,
        "operation_spans": False,
        "auto_configure": _exports(),
        "exclude": lambda scope: scope.get("path") in paths,
    }


def describe(scope: MutableMapping[str, Any], watch: Watch) -> None:
    """Tell the span of a request who answered and where the time went; never what was asked."""
    span = getattr(scope[REQUEST], "span", None)
    if span is None:
        return
    span.set_attribute("foldserve.request_id", watch.request_id)
    if watch.model is not None:
        span.set_attribute("foldserve.model", watch.model)
        span.set_attribute("foldserve.version", watch.version)
        span.set_attribute("foldserve.rows", watch.rows)
    for phase, spent in watch.phases().items():
        span.set_attribute(f"foldserve.{phase}_ms", spent / 1e6)


def trace_id(scope: MutableMapping[str, Any]) -> str:
    """The number of the trace that an observed request belongs to, as traces are looked up by."""
    span = getattr(scope[REQUEST], "span", None) or trace.INVALID_SPAN
    return trace.format_trace_id(span.get_span_context().trace_id)


def _exports() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not disabled and any(os.environ.get(name) for name in _ENDPOINTS)


def _is_set(provider: object) -> bool:
    """Whether a provider is more than the stand-in of the API."""
    return type(provider).__name__.lstrip("_") not in ("ProxyTracerProvider", "ProxyMeterProvider")
